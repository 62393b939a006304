"""The wrong line in its place: in a process that has loaded the application already, or in one that is about to."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def swapped(path: str, text: str, functions: Sequence[FunctionType]) -> bool:
    """Exchanges the code of the functions that differ; False when that does not make this process what the text says."""
    file = str(ROOT / path)
    before, after = (_codes(compile(text, file, "exec", dont_inherit=True)) for text in (Path(file).read_text(), text))
    if before.keys() != after.keys():
        return False
    there = [one for one in functions if one.__code__.co_filename == file]
    for name in (name for name in after if after[name].co_code != before[name].co_code or _inside(after[name]) != _inside(before[name])):
        mine = [one for one in there if one.__code__.co_qualname == name]
        if not mine:
            return False
        for one in mine:
            try:
                one.__code__ = after[name]
            except ValueError:  # it reaches for other names around it
                return False
    return True


def _codes(module: CodeType) -> dict[str, CodeType]:
    """Those of functions of the module and methods of its classes."""
    found = {}
    for code in (one for one in module.co_consts if isinstance(one, CodeType)):
        if code.co_name == "<lambda>" or "<locals>" in code.co_qualname:
            continue
        is_class = "__qualname__" in code.co_names
        found.update(_codes(code) if is_class else {code.co_qualname: code})
    return found


def _inside(code: CodeType) -> list[Any]:
    """What makes two codes mean the same, wherever their lines stand."""
    mine: list[Any] = [code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    return mine + [_inside(one) if isinstance(one, CodeType) else (type(one), repr(one)) for one in code.co_consts]


class Instead(importlib.abc.MetaPathFinder):
    """Gives out a module with another text."""

    def __init__(self, path: str, text: str) -> None:
        self.name = path.removesuffix(".py").replace("/", ".")
        self.loader = _Loader(self.name, str(ROOT / path))
        self.loader.text = text

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(fullname, self.loader.path, loader=self.loader) if fullname == self.name else None


class _Loader(SourceFileLoader):
    text = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, str(self.path), "exec", dont_inherit=True)


@contextlib.contextmanager
def noted(early: set[tuple[str, str]]) -> Iterator[None]:
    """Notes the functions of ours that are called meanwhile: by their files, and their own names."""
    ours = str(ROOT / "chatsvc")

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            early.add((str(Path(frame.f_code.co_filename).relative_to(ROOT)), frame.f_code.co_name))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def forget() -> None:
    """Forgets the statements that `core/prepared.py` builds once and keeps."""
    for name, module in list(sys.modules.items()):
        if name.startswith("chatsvc."):
            for function in list(vars(module).values()):
                if isinstance(function, FunctionType) and "made" in function.__code__.co_freevars:
                    (function.__closure__ or ())[function.__code__.co_freevars.index("made")].cell_contents.clear()
