"""Keys: unrelated to one another, shown to nobody, refused in unsafe places, gone once destroyed."""

import copy
import dataclasses
import json
import os
import pickle
import resource
from pathlib import Path

import pytest

from hub.errors import Mistake, Refused
from masking.keys import KEYRING_FILE, PURPOSES, ROOT_FILE, Key, Keyring, create_keys, destroy_version, open_keyring
from masking.suites import GM, INTERNATIONAL

Elsewhere = tuple[Path, Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    create_keys(made)
    return made


def opened(folder: Path, elsewhere: Elsewhere) -> Keyring:
    return open_keyring(folder, home=elsewhere[0], state=elsewhere[1])


def retire(folder: Path, purpose: str) -> None:
    path = folder / KEYRING_FILE
    content = json.loads(path.read_text())
    for version in content["versions"]:
        if version["purpose"] == purpose:
            version["state"] = "retired"
    path.write_text(json.dumps(content))


def material(key: Key) -> bytes:
    return key.material.reveal()


def test_every_purpose_has_a_key_of_its_own(keyring: Keyring) -> None:
    made = {material(keyring.key(purpose))[:16] for purpose in PURPOSES}

    assert len(made) == len(PURPOSES)


def test_a_key_is_the_same_every_time_it_is_asked_for(folder: Path, elsewhere: Elsewhere) -> None:
    made = {material(opened(folder, elsewhere).key("token", "person")) for _ in range(2)}

    assert len(made) == 1


def test_contexts_never_run_together(keyring: Keyring) -> None:
    contexts: list[tuple[str, ...]] = [(), ("",), ("a",), ("ab",), ("a", "b"), ("a", "b", ""), ("", "ab")]

    assert len({material(keyring.key("token", *context)) for context in contexts}) == len(contexts)


def test_keys_have_the_length_their_ciphers_need(keyring: Keyring) -> None:
    assert {purpose: len(material(keyring.key(purpose))) for purpose in PURPOSES} == {
        "token": 32,
        "seal": 64,
        "quarantine": 64,
        "row_hash": 32,
    }


def test_the_national_suite_is_chosen_when_keys_are_made(tmp_path: Path, elsewhere: Elsewhere) -> None:
    create_keys(tmp_path / "gm", GM)

    key = opened(tmp_path / "gm", elsewhere).key("seal")

    assert (key.suite, len(material(key))) == (GM, 32)


def test_two_folders_share_nothing(folder: Path, tmp_path: Path, elsewhere: Elsewhere) -> None:
    create_keys(tmp_path / "other")

    assert material(opened(folder, elsewhere).key("token")) != material(opened(tmp_path / "other", elsewhere).key("token"))


def test_files_are_for_their_owner_alone(folder: Path) -> None:
    assert {oct((folder / name).stat().st_mode & 0o777) for name in (ROOT_FILE, KEYRING_FILE)} == {"0o600"}
    assert sorted(path.name for path in folder.iterdir()) == [KEYRING_FILE, ROOT_FILE]


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = (folder / ROOT_FILE).read_bytes()

    with pytest.raises(Refused, match="exists already"):
        create_keys(folder)

    assert (folder / ROOT_FILE).read_bytes() == before


def test_a_keyring_without_its_root_is_not_overwritten_either(folder: Path) -> None:
    (folder / ROOT_FILE).unlink()

    with pytest.raises(Refused, match="exists already"):
        create_keys(folder)


def test_the_keyring_file_holds_no_secret_in_clear(folder: Path, elsewhere: Elsewhere) -> None:
    content = (folder / KEYRING_FILE).read_bytes()
    keyring = opened(folder, elsewhere)
    secrets = [held.secret.reveal() for held in keyring._held.values() if held.secret]

    assert len(secrets) == len(PURPOSES)
    assert all(secret not in content and secret.hex().encode() not in content for secret in secrets)


@pytest.mark.parametrize("which", [0, 1], ids=["HUB_HOME", "HUB_STATE"])
def test_keys_inside_the_hubs_own_folders_are_refused(tmp_path: Path, which: int) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    keys = folders[which] / "deep" / "keys"
    create_keys(keys)

    with pytest.raises(Refused, match=f"inside {('HUB_HOME', 'HUB_STATE')[which]}"):
        open_keyring(keys, home=folders[0], state=folders[1])


def test_keys_in_a_git_work_tree_are_refused(tmp_path: Path, elsewhere: Elsewhere) -> None:
    (tmp_path / ".git").mkdir()
    create_keys(tmp_path / "keys")

    with pytest.raises(Refused, match="git work tree"):
        opened(tmp_path / "keys", elsewhere)


def test_a_link_to_an_unsafe_place_is_refused(folder: Path, tmp_path: Path, elsewhere: Elsewhere) -> None:
    (tmp_path / "work" / ".git").mkdir(parents=True)
    (folder / ROOT_FILE).rename(tmp_path / "work" / "real")
    (folder / ROOT_FILE).symlink_to(tmp_path / "work" / "real")

    with pytest.raises(Refused, match="git work tree"):
        opened(folder, elsewhere)


@pytest.mark.parametrize("name", [ROOT_FILE, KEYRING_FILE])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_keys_that_others_can_read_are_refused(folder: Path, elsewhere: Elsewhere, name: str, mode: int) -> None:
    (folder / name).chmod(mode)

    with pytest.raises(Refused, match="others can read"):
        opened(folder, elsewhere)


def test_a_folder_that_others_can_write_to_is_refused(folder: Path, elsewhere: Elsewhere) -> None:
    folder.chmod(0o770)

    with pytest.raises(Refused, match="others can write"):
        opened(folder, elsewhere)


@pytest.mark.parametrize("name", [ROOT_FILE, KEYRING_FILE])
def test_missing_keys_are_named(folder: Path, elsewhere: Elsewhere, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(Mistake, match=f"{name} is missing"):
        opened(folder, elsewhere)


def test_a_root_of_the_wrong_length_is_a_mistake(folder: Path, elsewhere: Elsewhere) -> None:
    (folder / ROOT_FILE).write_bytes(b"short")

    with pytest.raises(Mistake, match="is not a root key"):
        opened(folder, elsewhere)


def test_a_broken_keyring_is_a_mistake(folder: Path, elsewhere: Elsewhere) -> None:
    (folder / KEYRING_FILE).write_text("{}")

    with pytest.raises(Mistake, match="is not a keyring"):
        opened(folder, elsewhere)


def test_another_root_opens_nothing(folder: Path, elsewhere: Elsewhere) -> None:
    (folder / ROOT_FILE).write_bytes(os.urandom(32))

    with pytest.raises(Refused, match="does not open with this root"):
        opened(folder, elsewhere)


def test_a_secret_cannot_be_passed_off_as_another_purposes(folder: Path, elsewhere: Elsewhere) -> None:
    path = folder / KEYRING_FILE
    content = json.loads(path.read_text())
    content["versions"][0]["secret"], content["versions"][1]["secret"] = (
        content["versions"][1]["secret"],
        content["versions"][0]["secret"],
    )
    path.write_text(json.dumps(content))

    with pytest.raises(Refused, match="does not open with this root"):
        opened(folder, elsewhere)


def test_a_process_holds_only_what_it_was_opened_for(folder: Path, elsewhere: Elsewhere) -> None:
    keyring = open_keyring(folder, home=elsewhere[0], state=elsewhere[1], purposes=["token"])

    keyring.key("token", "person")
    with pytest.raises(Refused, match="holds no active seal key"):
        keyring.key("seal", "population")
    with pytest.raises(Refused, match="holds no seal key of version 1"):
        keyring.key("seal", "population", version=1)


def test_a_retired_version_still_opens_but_no_longer_protects(folder: Path, elsewhere: Elsewhere) -> None:
    retire(folder, "token")

    assert opened(folder, elsewhere).key("token", version=1).version == 1
    with pytest.raises(Refused, match="no active token key"):
        opened(folder, elsewhere).key("token")


def test_a_destroyed_version_is_gone_for_ever(folder: Path, elsewhere: Elsewhere) -> None:
    entry = json.loads((folder / KEYRING_FILE).read_text())["versions"][0]
    retire(folder, entry["purpose"])

    destroy_version(folder, entry["purpose"], 1)

    assert entry["secret"] not in (folder / KEYRING_FILE).read_text()
    with pytest.raises(Refused, match="was destroyed"):
        opened(folder, elsewhere).key(entry["purpose"], version=1)


def test_the_active_version_is_not_destroyed(folder: Path) -> None:
    with pytest.raises(Refused, match="is in use"):
        destroy_version(folder, "token", 1)


def test_destroying_what_does_not_exist_is_a_mistake(folder: Path) -> None:
    with pytest.raises(Mistake, match="no version 9"):
        destroy_version(folder, "token", 9)


def test_key_material_shows_itself_nowhere(keyring: Keyring) -> None:
    key = keyring.key("token", "person")
    shown = f"{key!r} {key} {keyring!r} {key.material!r} {key.material}"

    assert material(key).hex() not in shown
    assert repr(material(key))[2:-1] not in shown
    assert "hidden" in shown


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_key_material_does_not_leave_the_process(keyring: Keyring, leave: object) -> None:
    for guarded in (keyring, keyring.key("token").material):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            leave(guarded)


def test_a_key_cannot_be_dumped(keyring: Keyring) -> None:
    key = keyring.key("token")

    with pytest.raises(TypeError):
        dataclasses.asdict(key)
    with pytest.raises(TypeError):
        json.dumps(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_core_dumps_are_off_once_keys_are_open(folder: Path, elsewhere: Elsewhere) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        opened(folder, elsewhere)

        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_versions_and_suites_are_part_of_what_is_derived(folder: Path, elsewhere: Elsewhere) -> None:
    key = opened(folder, elsewhere).key("seal", "population")

    assert (key.version, key.suite, key.purpose, key.context) == (1, INTERNATIONAL, "seal", ("population",))
