#!/usr/bin/env bash
# Writes the commands (vjepa_replay, ...) into a folder of the environment: tools/commands.sh .venv/bin. Each runs the
# checkout's code in the environment of tools/run.sh, but in the folder that it is called from. A command is a file of
# vjepa_ros/commands that has a main, as setup.py has it too.
set -euo pipefail
folder=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mark='# Written by tools/commands.sh.'
for script in "$folder"/vjepa_*; do # those of commands that are gone
    if [ -f "$script" ] && [ "$(sed -n 2p "$script")" = "$mark" ]; then rm -f "$script"; fi
done
for file in $(grep -l '^def main(' vjepa_ros/commands/*.py); do
    name=$(basename "$file" .py)
    # Written beside its place: a shell that is reading the old one goes on with that.
    cat > "$folder/.vjepa_$name" <<END
#!/usr/bin/env bash
$mark
set -euo pipefail
venv=\$(cd "\$(dirname "\$(readlink -f "\${BASH_SOURCE[0]}")")/.." && pwd)
root=\$(dirname "\$venv")
tmp=\${TMPDIR:-}
source "\$root/tools/environment.sh"
export TMPDIR="\${tmp:-\$TMPDIR}" # the place for what is decompressed is the user's choice
# The folder that it is called from is no place to import from.
exec "\$venv/bin/python" -c '
import sys
sys.path[:] = filter(None, sys.path)
from vjepa_ros.commands.$name import main
sys.exit(main())
' "\$@"
END
    chmod +x "$folder/.vjepa_$name"
    mv "$folder/.vjepa_$name" "$folder/vjepa_$name"
done
