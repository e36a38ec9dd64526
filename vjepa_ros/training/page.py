"""The template of ``report.html``: one page without anything from elsewhere. It knows no figures."""

from __future__ import annotations

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ told.model }}: {{ told.judgement.word }}</title>
<style>
  :root { color-scheme: light; }
  body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin-bottom: .3rem; }
  h2 { font-size: 1.1rem; margin-top: 2.2rem; border-bottom: 1px solid #d1d9e0; padding-bottom: .2rem; }
  table { border-collapse: collapse; width: 100%; font-size: .92em; }
  th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #eaeef2; vertical-align: top; }
  th { font-weight: 600; white-space: nowrap; }
  td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
  .judgement { border-left: 6px solid; padding: .7rem 1rem; margin: 1rem 0; border-radius: 4px; font-size: 1.05rem; }
  .follows { border-color: #1a7f37; background: #eaf7ee; }
  .ignores { border-color: #d1242f; background: #fdeced; }
  .little_motion { border-color: #9a6700; background: #fff6dc; }
  .row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
  .row > * { flex: 1 1 420px; min-width: 0; }
  img { max-width: 100%; }
  .worst { display: flex; flex-wrap: wrap; gap: 1.2rem; }
  .worst figure { margin: 0; width: 300px; }
  .worst img { width: 146px; image-rendering: auto; border: 1px solid #d1d9e0; }
  figcaption, .note { font-size: .85em; color: #59636e; overflow-wrap: anywhere; }
  code { font-size: .9em; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{ told.model }}</h1>
<div class="note">{{ told.survey.hours | figure }} h of recordings, held-back ones included; looked at on those:
{{ told.survey.held_back }}.</div>
<div class="judgement {{ told.judgement.word }}">{{ told.judgement.text }}</div>

<table>
<tr><th></th><th class="n">value</th><th>what it is</th><th>good</th></tr>
{% for name, value, what, good in figures %}
<tr><th>{{ name }}</th><td class="n">{{ value | figure }}</td><td>{{ what }}</td><td>{{ good }}</td></tr>
{% endfor %}
</table>
{% if told.evaluation.states_held %}
<p class="note">Nobody knows how these actions advance the states: forecasts farther than a step took the last state for
all of them.</p>
{% endif %}

<h2>Forecasts of held-back recordings</h2>
<div class="row">
<div><img src="{{ pictures.distance }}" alt="error by steps ahead">
<div class="note">The mean absolute difference of layer-normalised latents, the energy that a planner sees.</div></div>
{% if 'grid' in pictures %}
<div><img src="{{ pictures.grid }}" alt="energies around the true action">
<div class="note">Mean of {{ told.evaluation.grid.energies | length }} windows that move. The minimum belongs on the
cross; one that is always off it the same way comes from time.offset_s or the reduction.</div></div>
{% endif %}
</div>

<h2>By joint and by speed</h2>
<div class="row">
<div>
{% if 'joint' in pictures %}<img src="{{ pictures.joint }}" alt="error by joint">{% endif %}
<table>
<tr><th>joint</th><th class="n">from</th><th class="n">to</th><th class="n">moves</th><th class="n">shuffled</th></tr>
{% for joint in told.evaluation.joints %}
<tr><td>{{ joint.name }}</td><td class="n">{{ joint.low | short }}</td><td class="n">{{ joint.high | short }}</td>
<td class="n">{{ joint.moves | percent }}</td><td class="n">{{ joint.shuffled | figure }}</td></tr>
{% endfor %}
</table>
<div class="note">Shuffled: error where this joint's actions alone come from other windows, over that with the right
ones. 1: the model does not look at it.</div>
</div>
<div>
<img src="{{ pictures.speed }}" alt="error by speed">
<table>
<tr><th>speed</th><th class="n">windows</th><th class="n">forecast</th><th class="n">no change</th>
<th class="n">ratio</th></tr>
{% for one in told.evaluation.speeds %}
<tr><td>{{ one.name }}</td><td class="n">{{ one.samples }}</td><td class="n">{{ one.right | figure(3) }}</td>
<td class="n">{{ one.still | figure(3) }}</td><td class="n">{{ one.ratio | figure }}</td></tr>
{% endfor %}
</table>
<div class="note">One step ahead; those that move are three equal parts.</div>
</div>
</div>

<h2>Worst windows</h2>
<div class="worst">
{% for one in worst %}
<figure>{% if one.frames %}
<img src="{{ one.frames[0] }}" alt="last frame seen"> <img src="{{ one.frames[1] }}" alt="frame that came">
{%- endif %}
<figcaption>{{ one.recording }} at {{ one.stamp_s }} s: last frame seen, and the one that came
{{ one.ahead }} step{{ "s" if one.ahead > 1 }} later.
Error {{ one.right | figure(3) }}, no change {{ one.still | figure(3) }}.</figcaption></figure>
{% endfor %}
</div>

<h2>How it was trained</h2>
{% for name in courses %}
<img src="{{ pictures['course_' ~ name] }}" alt="course of the {{ name }}">
{% endfor %}
<table>
{% for name, value in told.options.items() %}
<tr><th>{{ name }}</th><td><code>{{ value }}</code></td></tr>
{% endfor %}
</table>

<h2>The data</h2>
<table>
<tr><th>recording</th><th></th><th class="n">windows</th><th class="n">hours</th><th class="n">gaps</th>
<th class="n">moves</th><th>dropped</th></tr>
{% for row in told.survey.recordings %}
<tr><td><code>{{ row.path }}</code></td><td>{{ "held back" if row.held }}</td><td class="n">{{ row.windows }}</td>
<td class="n">{{ row.hours | figure(3) }}</td><td class="n">{{ row.gaps }}</td>
<td class="n">{{ row.moving | percent }}</td>
<td>{% for why, count in row.dropped.items() %}{{ count }} {{ why }}{{ ", " if not loop.last }}{% endfor %}</td></tr>
{% endfor %}
</table>
{% for warning in told.survey.warnings %}
<p class="note">{{ warning }}.</p>
{% endfor %}

<h2>Convention</h2>
<div class="note">A node refuses this model where it is configured otherwise.</div>
<table>
{% for name, value in told.convention.items() %}
<tr><th>{{ name }}</th><td><code>{{ json(value) }}</code></td></tr>
{% endfor %}
</table>

<h2>Hashes</h2>
<table>
<tr><th>model</th><td><code>{{ told.hashes.model }}</code></td></tr>
<tr><th>encoder</th><td><code>{{ told.hashes.encoder }}</code></td></tr>
<tr><th>parameters</th><td><code>{{ told.hashes.params }}</code></td></tr>
{% for hash in told.hashes.bags %}
<tr><th>{{ "recordings" if loop.first }}</th><td><code>{{ hash }}</code></td></tr>
{% endfor %}
</table>
<p class="note">vjepa_train of vjepa_ros {{ version }}</p>
</body>
</html>
"""
