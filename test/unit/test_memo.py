"""Files read once by the parts of one process: shared while held, anew when the file changed."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
import yaml

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.memo import LastHeld, file_state
from ilrs_robots.core.paths import config_file
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.site import load_prior, load_site


class Thing:
    """Something that can be referred to weakly."""


def test_one_thing_is_shared_while_held_and_not_kept_for_its_own_sake() -> None:
    memo: LastHeld[Thing] = LastHeld()
    first = memo.get("a", Thing)
    assert memo.get("a", Thing) is first
    other = memo.get("b", Thing)
    assert other is not first
    assert memo.get("b", Thing) is other
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    assert isinstance(memo.get("b", Thing), Thing)


def test_a_file_that_is_absent_equals_nothing(tmp_path: Path) -> None:
    there = tmp_path / "a"
    there.write_text("x")
    assert file_state(there) == file_state(there)
    assert file_state(there, tmp_path / "b") != file_state(there, tmp_path / "b")


def test_a_vehicle_whose_file_was_altered_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "rover.yaml"
    text = config_file("robots", "long_range").read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    first = load_robot(str(file))
    assert load_robot(str(file)) is first
    content = yaml.safe_load(text)
    content["description"] = "another one"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_robot(str(file)).description == "another one"
    file.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        load_robot(str(file))


def test_the_prior_is_one_for_all_and_follows_seed_and_file(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    content = yaml.safe_load(config_file("sites", "shackleton").read_text(encoding="utf-8"))
    content["terrain"] = {"kind": "procedural", "seed": 3, "size_m": 1280.0}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    site, prior = load_prior(str(file), seed=5)
    assert site.terrain.seed == 5
    assert load_prior(str(file), seed=5)[1] is prior
    np.testing.assert_array_equal(load_site(str(file), seed=5)[1].prior.heights_m, prior.heights_m)
    other = load_prior(str(file))[1]
    assert not np.array_equal(other.heights_m, prior.heights_m)
    os.utime(file, ns=(1, 1))
    anew = load_prior(str(file))[1]
    assert anew is not other
    np.testing.assert_array_equal(anew.heights_m, other.heights_m)
