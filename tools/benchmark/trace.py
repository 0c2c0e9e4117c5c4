"""The command behind `tools/trace`: where the time of a frame goes, by phase and by stage."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from benchmark.arguments import picture_size
from plenostream.integrator.xla.environment import prepare_jax


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/trace",
        description="Draw a view of a scene again and again, and say where the time goes: phases "
        "of the host loop, of the threads that draw and of those that read, and stages of the "
        "integrator. Timers and profiles slow a frame down: shares say more than sums.",
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument(
        "--cameras", type=Path, help="a camera file; an orbit's first view unless said"
    )
    parser.add_argument("--frame", type=int, default=0, help="which view of the file")
    parser.add_argument("--size", type=picture_size, default=(800, 800), metavar="WIDTHxHEIGHT")
    parser.add_argument("--device-memory", metavar="SIZE", help="such as 64MB, to see streaming")
    parser.add_argument("--frames", type=int, default=3, help="that phases are the mean of")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser.parse_args()


def main() -> int:
    """Run it."""
    arguments = _arguments()
    prepare_jax()
    # Late: JAX reads the environment when it is imported.
    import plenostream as ps
    from benchmark.profile import profile_frame, profile_rows
    from plenostream.bench.table import table_lines

    with ps.open_scene(arguments.scene) as scene:
        if arguments.cameras is None:
            (camera,) = ps.orbit_cameras(scene.grid, 1, size=arguments.size)
        else:
            chosen = {"frames": [arguments.frame], "size": arguments.size}
            (camera,) = ps.load_cameras(arguments.cameras, **chosen)
        stream = ps.StreamOptions(device_memory=arguments.device_memory)
        found = profile_frame(scene, camera, stream=stream, n_frames=arguments.frames)
    name = os.path.basename(arguments.scene)
    print("\n".join(table_lines({name: profile_rows("", found)})))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found.to_dict(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
