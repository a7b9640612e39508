"""What names of other libraries lead to is there."""

from __future__ import annotations

import inspect
import re

import pytest

from ranvier.cli.main import app
from ranvier.core import registry
from ranvier.core.elsewhere import COMMANDS, PARTS, SETTINGS, WRITING
from ranvier.core.plan import TrainPlan
from ranvier.heads.boxes import BoxesHead
from ranvier.model.fit import fit
from ranvier.model.generate import WAYS
from ranvier.model.model import Model
from ranvier.planning.make import make_plan

KNOWN = {*inspect.signature(make_plan).parameters, *inspect.signature(fit).parameters, *TrainPlan.model_fields, "data"}
WRITTEN = {*WAYS, *BoxesHead.ways, *inspect.signature(Model.generate).parameters}
PLACES = ("fuse", "inputs", "targets", "schedule")


@pytest.mark.parametrize(("names", "known"), [(SETTINGS, KNOWN), (WRITING, WRITTEN)])
def test_names_lead_to_settings_that_there_are(names, known):
    for name, here in names.items():
        led = re.search(r"'([a-zA-Z_.]+)'", here)
        assert led is not None, name
        assert led[1] in known or led[1].split(".")[0] in PLACES, name
        assert name not in known, name
        assert name == name.lower()


def test_names_lead_to_parts_that_there_are():
    for kind, called in PARTS.items():
        for name, here in called.items():
            assert here.split("'")[1] in registry.names(kind), name
            assert name not in registry.names(kind), name
            assert name == name.lower().replace("-", "_")


def test_names_lead_to_verbs_that_there_are():
    verbs = [one.callback.__name__ for one in app.registered_commands]
    for name, here in COMMANDS.items():
        assert here.split("'")[1] in verbs, name
        assert name not in verbs, name
