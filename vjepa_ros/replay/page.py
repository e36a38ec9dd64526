"""The template of a replay's page: one page without anything from elsewhere. It knows no figures."""

from __future__ import annotations

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Replay of {{ bags | join(", ") }}</title>
<style>
  :root { color-scheme: light; }
  body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
  h2 { font-size: 1.1rem; margin-top: 2.2rem; border-bottom: 1px solid #d1d9e0; padding-bottom: .2rem; }
  table { border-collapse: collapse; font-size: .92em; }
  th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #eaeef2; vertical-align: top; }
  th { font-weight: 600; }
  td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
  .whole { width: 100%; }
  .facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
  .facts div { flex: 1 1 150px; background: #f6f8fa; border-radius: 6px; padding: .6rem .9rem; }
  .facts b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
  .warning { border-left: 6px solid #9a6700; background: #fff6dc; padding: .5rem 1rem; border-radius: 4px; }
  .strip { margin-bottom: 1rem; width: 100%; table-layout: fixed; }
  .strip td, .strip th { border: 0; padding: 1px 2px; font-size: .85em; vertical-align: middle; }
  .strip th:first-child { width: 92px; font-weight: 400; color: #59636e; }
  .strip img { display: block; width: 100%; aspect-ratio: {{ aspect }}; }
  .strip .tokens { image-rendering: pixelated; }
  .strip td.n { text-align: center; }
  img.curves { width: 100%; }
  .note { font-size: .85em; color: #59636e; }
  code { font-size: .9em; overflow-wrap: anywhere; }
  details { margin-top: 1rem; }
</style>
</head>
<body>
<h1>Replay of {{ bags | join(", ") }}</h1>
<div class="note">
{% if info is not none %}
{{ info.model }}{{ "" if info.trained else " (untrained)" }}, {{ info.encoding }}, weights
<code>{{ info.weights_hash }}</code>
{% else %}
windows only: no model ran
{% endif %}
</div>
{% if info is not none and info.notice %}<div class="warning">{{ info.notice }}</div>{% endif %}
{% if report.incomplete %}
<div class="warning">Not all that the recording announces could be read:
<ul>
{% for one in report.incomplete %}
<li>{{ one.file }}: {{ one.what }}</li>
{% endfor %}
</ul></div>
{% endif %}

<div class="facts">
<div><b>{{ report.counts.windows }}</b>windows of {{ report.timings.recorded_s | figure(1) }} s</div>
{% if report.prediction_error %}
<div><b>{{ report.prediction_error.mean | figure(3) }}</b>error of forecasts</div>
<div><b>{{ report.prediction_error.no_change_mean | figure(3) }}</b>of expecting no change</div>
{% endif %}
{% for name, values in times if name == "whole window" %}
<div><b>{{ values[0] | figure(1) }} ms</b>a window, in the median</div>
{% endfor %}
<div><b>{{ report.counts.windows_skipped + report.counts.windows_reset + report.counts.windows_unresolved
+ report.counts.windows_not_finite }}</b>windows lost</div>
</div>
{% if report.prediction_error and report.prediction_error.mean >= report.prediction_error.no_change_mean %}
<div class="warning">Forecasts were not nearer to what came than expecting no change: this model is of no use for this
recording, or the recording is not read as the model was trained. Of one in which nothing moves that says
nothing.</div>
{% endif %}

<h2>Moments</h2>
{% for strip in strips %}
<table class="strip">
<tr><th></th>{% for one in strip %}<td class="n">{{ one.at_s | figure(1) }} s</td>{% endfor %}
{% for _ in range(in_a_row - strip | length) %}<td></td>{% endfor %}</tr>
<tr><th>camera</th>{% for one in strip %}<td>
<img src="{{ one.frame }}" alt="camera at {{ one.at_s | figure(1) }} s"></td>{% endfor %}</tr>
{% if info is not none %}
<tr><th>latents, observed</th>{% for one in strip %}<td><img class="tokens" src="{{ one.observed }}" alt="latents"></td>
{% endfor %}</tr>
<tr><th>as forecast</th>{% for one in strip %}<td>
{% if one.forecast %}<img class="tokens" src="{{ one.forecast }}" alt="forecast of the latents">{% endif %}</td>
{% endfor %}</tr>
<tr><th>where wrong</th>{% for one in strip %}<td>
{% if one.heat %}<img src="{{ one.heat }}" alt="error over the camera image">{% endif %}</td>{% endfor %}</tr>
<tr><th>error</th>{% for one in strip %}<td class="n">{{ one.error.error | figure(3) if one.error else "-" }}</td>
{% endfor %}</tr>
{% endif %}
</table>
{% else %}
<p>No window came out.</p>
{% endfor %}
{% if info is not none and strips %}
<div class="note">The camera's image as the encoder sees it. Each square is a token; the colours are the first three
principal components of the latents, and mean the same in all pictures. Observed is the newest step of the window;
below it is what had been forecast of that very step before. Orange is where the two differ most in all of these
moments.</div>
{% endif %}

{% if curves %}
<h2>Errors and latency</h2>
<img class="curves" src="{{ curves }}" alt="prediction error and latency over time">
<table>
<tr><th>ms</th>{% for percent in percentiles %}<th class="n">p{{ percent }}</th>{% endfor %}</tr>
{% for name, values in times %}
<tr><td>{{ name }}</td>{% for value in values %}<td class="n">{{ value | figure(1) }}</td>{% endfor %}</tr>
{% endfor %}
</table>
<div class="note">The error is the mean absolute difference of layer-normalised latents; of two that have nothing in
common it would be about 1.1. Times are those of this replay: device {{ report.parameters.device }}, dtype
{{ info.model_dtype }}, another machine than the robot's perhaps.
{% if not report.prediction_error %}
No step was forecast and then observed as the newest one, so there is no error.
{% endif %}
</div>
{% endif %}

<h2>What was dropped</h2>
{% if losses | selectattr(1) | list %}
<table class="whole drops">
<tr><th>what</th><th class="n">how many</th><th>why</th></tr>
{% for what, count, why in losses if count %}
<tr><td>{{ what }}</td><td class="n">{{ count }}</td><td>{{ why }}</td></tr>
{% endfor %}
</table>
{% else %}
<p>Nothing.</p>
{% endif %}
<p class="note">None: {{ losses | rejectattr(1) | map(attribute=0) | join(", ") }}.</p>

<h2>What was read</h2>
<table class="whole">
{% for name, topic in report.topics.items() %}
<tr><td>{{ name }}</td><td><code>{{ topic }}</code></td>
<td class="n">{{ report.messages[topic] if topic in report.messages }}</td></tr>
{% endfor %}
{% for name, words, count in kept %}
<tr><td>{{ words }}</td><td></td><td class="n">{{ count }}</td></tr>
{% endfor %}
</table>
{% for note in report.notes %}
<p class="note">{{ note }}</p>
{% endfor %}
<details><summary>Parameters and hashes</summary>
<table class="whole">
{% for name, value in report.parameters.items() %}
<tr><td>{{ name }}</td><td><code>{{ value }}</code></td></tr>
{% endfor %}
{% for name, digits in report.sha256.items() %}
<tr><td>sha256 of the {{ name }}</td><td><code>{{ digits }}</code></td></tr>
{% endfor %}
</table>
</details>
<p class="note">vjepa_replay of vjepa_ros {{ report.vjepa_ros }}</p>
</body>
</html>
"""
