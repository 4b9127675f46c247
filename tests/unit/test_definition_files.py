"""The files that define Blocks are found inside of their folder, and nowhere else."""

from pathlib import Path

import pytest

from leadpush_prefect import ApiEndpoint
from leadpush_prefect.definitions.files import block_files, path_of, read_fields, write_fields
from leadpush_prefect.definitions.references import Reference
from leadpush_prefect.errors import LeadpushError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("blocks/endpoints", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "outside" / "crm.yaml").write_text("url: https://a.example/\n")
    return tmp_path / "blocks"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../crm", "a/b", "a\\b", "/crm", "CRM", "a.b", "a b", "ä", "a\n", "a\x00"]
)
def test_a_name_that_is_none_is_refused(folder: Path, name: str) -> None:
    """Whatever the server says that a Block is called: no path is made of it."""
    with pytest.raises(LeadpushError, match="cannot be the name of a file"):
        path_of(folder, ApiEndpoint, name)


@pytest.mark.parametrize("name", ["CRM.yaml", "a b.yml", ".crm.yaml", "a.b.json"])
def test_a_file_whose_name_is_none_is_refused(folder: Path, name: str) -> None:
    """The sentence says what a name has."""
    (folder / "endpoints" / name).write_text("{}")
    with pytest.raises(LeadpushError, match="lower-case letters, digits and dashes"):
        list(block_files(folder))


def test_links_out_of_the_folder_are_not_followed(folder: Path) -> None:
    """Neither a file's nor a folder's, neither to read nor to write."""
    (folder / "endpoints" / "crm.yaml").symlink_to(folder.parent / "outside" / "crm.yaml")
    with pytest.raises(LeadpushError, match="leads out of"):
        list(block_files(folder))
    with pytest.raises(LeadpushError, match="leads out of"):
        path_of(folder, ApiEndpoint, "crm")
    (folder / "endpoints" / "crm.yaml").unlink()
    (folder / "endpoints").rmdir()
    (folder / "endpoints").symlink_to(folder.parent / "outside")
    with pytest.raises(LeadpushError, match="leads out of"):
        list(block_files(folder))
    with pytest.raises(LeadpushError, match="leads out of"):
        path_of(folder, ApiEndpoint, "new")


def test_links_inside_of_the_folder_are_followed(folder: Path) -> None:
    """Two endpoints may be one file."""
    (folder / "endpoints" / "a.yaml").write_text("url: https://a.example/\n")
    (folder / "endpoints" / "b.yaml").symlink_to("a.yaml")
    assert [name for _, name, _ in block_files(folder)] == ["a", "b"]


def test_two_files_of_one_block(folder: Path) -> None:
    """Which of them would count is not left to chance."""
    for suffix in ("yaml", "json"):
        (folder / "endpoints" / f"crm.{suffix}").write_text("{}")
    with pytest.raises(LeadpushError, match="define the same Block"):
        list(block_files(folder))


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_write_then_read(folder: Path, suffix: str) -> None:
    """In the form that the suffix says; what is left is the file alone."""
    path = folder / "audiences" / f"all.{suffix}"
    write_fields(path, {"path": "a\r\nb", "secrets": {"key": Reference("env", "KEY")}})
    assert read_fields(path) == {"path": "a\r\nb", "secrets": {"key": {"env": "KEY"}}}
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_text().startswith("{") is (suffix == "json")


@pytest.mark.parametrize("text", ["[1]", "a: [", "\xff", "just text", ""])
def test_what_cannot_be_read_is_named(folder: Path, text: str) -> None:
    """A file that does not hold fields is an error with its path."""
    path = folder / "endpoints" / "crm.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LeadpushError, match=r"crm\.yaml.*: it (is not YAML|must hold)"):
        read_fields(path)
