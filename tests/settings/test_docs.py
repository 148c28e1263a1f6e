"""docs/settings.md says what the code knows. ``python -m tests.settings.test_docs`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from router.settings import Settings
from router.settings_rest import UpstreamSettings
from router.settings_sources import FOREIGN
from router.settings_tables import QueueSettings, TypeSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
BEGIN, END = "<!-- made from the code: begin -->\n", "<!-- made from the code: end -->\n"
TABLES = {"queues", "socket_events", "types", "upstreams"}
SECTIONS = {
    '`[queues."bot:moderation"]`': QueueSettings,
    "`[types.BAN_USER]`": TypeSettings,
    "`[upstreams.main]`": UpstreamSettings,
}


def render() -> str:
    """The tables of the page."""
    lines = ["## All settings", "", "| TOML key and Python name | variable | default | |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        bare = name.upper() in FOREIGN
        variable = "TOML only" if name in TABLES else f"`{name.upper()}`" if bare else f"`ROUTER_{name.upper()}`"
        lines.append(f"| `{name}` | {variable} | {default_of(field)} | {field.description} |")
    for title, table in SECTIONS.items():
        lines += ["", f"## {title}", "", "| key | |", "|---|---|", *rows(table)]
    return "\n".join(lines) + "\n"


def rows(table: type[BaseModel]) -> list[str]:
    return [f"| `{name}` | {field.description} |" for name, field in table.model_fields.items()]


def default_of(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    text = "" if default in (None, "", (), {}) or str(default).startswith("*") or not str(default) else str(default)
    return f"`{text}`" if text else ""


def test_the_page_is_what_the_code_knows() -> None:
    text = PAGE.read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == render(), "run: python -m tests.settings.test_docs"


def test_every_setting_has_a_description() -> None:
    for model in (Settings, *SECTIONS.values()):
        for name, field in model.model_fields.items():
            assert field.description, name


if __name__ == "__main__":
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + render() + END + rest.partition(END)[2], "utf-8")
