"""The demo's register file, with the address of the model that this installation asks."""

from pathlib import Path

import yaml

from countersign.demo.model import DemoModel

FILE = Path(__file__).parent / "demo.yaml"
MODEL = "demo"


def text(model: DemoModel) -> str:
    """What is registered: `demo.yaml` with its model replaced by `model`."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    entry = {**content["models"][MODEL], "base_url": model.base_url, "model": model.model}
    if model.key:
        entry["api_key"] = model.key
    content["models"][MODEL] = entry
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
