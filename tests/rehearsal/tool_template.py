"""SmolLM2 with a chat template that has tools; its own has none.

It has the form in which Qwen's and Hermes' models learned it, on the ChatML marks that are SmolLM2's own too: the tools as JSON in the
system message, a call as JSON between <tool_call> marks, its result between <tool_response> marks in a user's turn.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from macfleet.lab.models import ensure
from macfleet.models.store import model_store

CHATML_WITH_TOOLS = """\
{%- set system = messages[0]['content'] if messages[0]['role'] == 'system' else 'You are a helpful AI assistant.' -%}
{{- '<|im_start|>system\\n' + system -}}
{%- if tools -%}
{{- '\\n\\nYou may call a function:\\n<tools>' -}}
{%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
{{- '\\n</tools>\\nTo call it, write:\\n<tool_call>\\n{"name": "...", "arguments": {...}}\\n</tool_call>' -}}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- elif message.role == 'tool' -%}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + message.role -}}
{%- if message.content -%}{{- '\\n' + message.content -}}{%- endif -%}
{%- for tool_call in message.tool_calls or [] -%}
{%- set tool_call = tool_call.function -%}
{{- '\\n<tool_call>\\n{"name": "' + tool_call.name + '", "arguments": ' + (tool_call.arguments | tojson) + '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def make_model_with_tools(directory: Path) -> Path:
    """SmolLM2's weights and words, with the template above."""
    ensure("smollm2-135m")
    shutil.copytree(model_store(os.environ) / "smollm2-135m", directory, copy_function=os.symlink)
    described = json.loads((directory / "tokenizer_config.json").read_text())
    (directory / "tokenizer_config.json").unlink()
    (directory / "tokenizer_config.json").write_text(json.dumps(described | {"chat_template": CHATML_WITH_TOOLS}))
    return directory
