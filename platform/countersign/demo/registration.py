"""The demo's register file, with the address of the model that this installation asks."""

from pathlib import Path
from typing import Any

import yaml

from countersign.demo.model import DemoModel

FILE = Path(__file__).parent / "demo.yaml"
MODEL = "demo"


def text(model: DemoModel) -> str:
    """What is registered at first: `demo.yaml` with its model replaced by `model`."""
    content = {**_content(), **_models(model)}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def model_text(model: DemoModel) -> str:
    """The model alone: all else that people have changed since is theirs."""
    return yaml.safe_dump(_models(model), allow_unicode=True, sort_keys=False)


def _models(model: DemoModel) -> dict[str, Any]:
    written = _content()["models"]
    entry = {**written[MODEL], "base_url": model.base_url, "model": model.model}
    if model.key:
        entry["api_key"] = model.key
    return {"models": {**written, MODEL: entry}}


def _content() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return content
