"""What colcon and pip install, and where: the Python package, the executable, and the files that ROS looks for.

Name, version and maintainer are read from package.xml, so that they stand in one place.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

manifest = ElementTree.parse("package.xml")
name = manifest.findtext("name", "")
maintainer = manifest.find("maintainer")


def files_under(folder: str) -> list[tuple[str, list[str]]]:
    """Every file under ``folder``, as setuptools wants its data files: (place in the install tree, files)."""
    places: dict[str, list[str]] = {}
    for file in sorted(Path(folder).rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            places.setdefault(f"share/{name}/{file.parent.as_posix()}", []).append(file.as_posix())
    return list(places.items())


# A file of the commands that has a main is one; tools/commands.sh goes by this too.
commands = sorted(file.stem for file in Path(name, "commands").glob("*.py") if "\ndef main(" in file.read_text("utf-8"))

setup(
    name=name,
    version=manifest.findtext("version"),
    description=" ".join(manifest.findtext("description", "").split()),
    maintainer=maintainer.text,
    maintainer_email=maintainer.get("email"),
    license=manifest.findtext("license"),
    python_requires=">=3.10",
    packages=find_packages(include=[name, f"{name}.*"]),
    package_data={name: ["simulation/assets/*", "weights/*.json", "weights/*.safetensors"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{name}"]),
        (f"share/{name}", ["package.xml"]),
        *files_under("launch"),
        *files_under("config"),
    ],
    entry_points={
        "console_scripts": [
            f"predictor_node = {name}.ros.main:main",
            f"panda_sim = {name}.ros.panda_sim:main",
            *(f"vjepa_{command} = {name}.commands.{command}:main" for command in commands),
        ],
    },
    zip_safe=False,  # files of the package are read where they lie
    # On a robot numpy, OpenCV and YAML come from apt, which pip does not always see, and torch is the build that fits
    # its GPU: a requirement here could pull a second copy of one of them. package.xml is what rosdep reads; who
    # installs without ROS asks for vjepa_ros[standalone].
    install_requires=["setuptools"],
    extras_require={
        "standalone": [
            "numpy>=1.26",
            "opencv-python-headless>=4.6,<5",
            "pyyaml",
            "rich",
            # It writes bags and decodes messages, and brings the decompressors: these versions were tried. The first
            # of them is the first that brings backports.zstd.
            "rosbags>=0.11.7,<0.12",
            "safetensors",
            "torch>=2.1",
        ],
        # Datasets in the layout of lerobot as recordings; older versions of the two were not tried.
        "lerobot": ["av>=15", "pyarrow>=21"],
        "video": ["av>=15"],  # cameras that send H.264
        # For vjepa_train: a robot that only runs the node does without. torch brings jinja2.
        "train": ["accelerate>=1.0", "jinja2", "matplotlib", "safetensors", "tensorboardX>=2.6"],
        # Other runtimes (docs/runtimes.md), whose graphs torch writes by way of onnx. Tried with the versions that
        # requirements/ has; for a GPU other builds of onnxruntime take its place.
        "onnx": ["onnx>=1.16", "onnxruntime>=1.20"],
        "openvino": ["onnx>=1.16", "openvino>=2024.4"],
        "docs": ["myst-parser>=4", "sphinx>=8"],  # make docs
        "pictures": ["jinja2", "matplotlib", "pillow"],  # for vjepa_probe, vjepa_replay --html, and the examples
        "rerun": ["rerun-sdk>=0.23"],  # for vjepa_replay --rrd; it wants numpy 2, newer ones Python 3.11
        # vjepa_fleet and vjepa_find (docs/fleet.md); for s3:// and gs:// s3fs or gcsfs too. Ray Data imports pandas.
        "fleet": ["av>=15", "faiss-cpu>=1.8", "fsspec", "pandas>=2.2", "pyarrow>=21", "ray>=2.60"],
        "test": ["hypothesis", "pillow", "pytest<9", "pytest-timeout", "pytest-xdist"],
    },
)
