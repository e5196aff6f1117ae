"""What several tests of the library look at."""

import json

from neurorack.library import files


def in_folder(folder):
    """Files of the library that a person sees."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def left_over(folder):
    return [path for path in folder.rglob(f"*{files.PART}")]


def checks(folder):
    """When each content was checked last."""
    return {path.name: json.loads(path.read_text())["checked_at"] + str(path.stat().st_size) for path in (folder / files.LIFTED).glob("*.json")}


def sound(path, **patience):
    """What a model says to three blocks of latents."""
    import numpy as np

    from neurorack.importer.players import load_model

    model = load_model(path)
    method = model.card.get("method", "decode")
    program = model.program(method, model.methods[method].blocks[0])
    random = np.random.default_rng(3)
    return np.concatenate([program.run(random.standard_normal(program.in_shape).astype(np.float32), **patience) for _ in range(3)])
