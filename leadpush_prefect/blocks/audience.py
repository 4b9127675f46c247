"""The Block Audience."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

import leadpush_prefect.blocks.lenient as lenient
from leadpush_prefect.blocks.base import DOCUMENTATION, CheckedBlock, block_of_any_json
from leadpush_prefect.errors import AudienceInvalid, BlockInvalid, Problem
from leadpush_prefect.model.consent_columns import (
    NO_CONSENT_COLUMN,
    ConsentColumns,
    ConsentUnclear,
    named_problems,
)

if TYPE_CHECKING:
    from prefect_sqlalchemy import SqlAlchemyConnector

    from leadpush_prefect.model.contact import ContactRow, InvalidRow

__all__ = ["Audience"]

CSV, JSON_LINES = ".csv", (".jsonl", ".ndjson")

LOOKED_AT = 1000
"""Of so many rows `problems()` sees what they say of consent."""


class Audience(CheckedBlock, Block):
    """Whom a campaign is for. The column `subscribed` (true or false) says which contacts may be asked; an empty cell
    means no. If the column has another name, write it into Subscribed column, or into Unsubscribed column if it says the
    opposite. The contacts are the rows of a file or a query.

    Attributes:
        path: A CSV or JSONL file.
        connector: The name of a SqlAlchemyConnector Block.
        query: The SQL query whose rows are the contacts.
        id_column: The column of the contact's id; empty for the first of `_id`, `uuid`, `id`.
        subscribed: The column that says who may be asked; empty for `subscribed`, in any case; `*` where there is none.
        unsubscribed: The column that says who has opted out.

    Example:
        Load a saved audience:
        ```python
        from leadpush_prefect import Audience

        audience = Audience.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Leadpush Audience"
    _block_type_slug = "leadpush-audience"
    _main_field: ClassVar[str] = "path"
    _documentation_url = DOCUMENTATION
    _readers: ClassVar[Mapping[str, Any]] = dict.fromkeys(
        ("path", "connector", "query", "id_column", "subscribed", "unsubscribed"), lenient.text
    )

    path: str = Field(
        default="",
        title="File",
        description="A CSV or JSONL file, where the campaign runs. Its column _id, uuid or id is the "
        "contact's id.",
    )
    connector: str = Field(
        default="",
        title="Database",
        description="The name of a SqlAlchemyConnector block, if the contacts are the rows of a query.",
    )
    query: str = Field(
        default="",
        title="SQL query",
        description="The query, such as SELECT id, email, subscribed FROM customers WHERE renews_at < now().",
    )
    id_column: str = Field(
        default="",
        title="Id column",
        description="The column of the contact's id. Empty: the first of _id, uuid and id.",
    )
    subscribed: str = Field(
        default="",
        title="Subscribed column",
        description="The column that says who may be asked: true or false, yes or no, 1 or 0; an empty cell means no. "
        "If nothing is written here: the column subscribed, in any case. Write * if the audience has no such column "
        "and everybody may be asked.",
    )
    unsubscribed: str = Field(
        default="",
        title="Unsubscribed column",
        description="The column that says who has opted out, if there is one: true means no.",
    )

    _unusable: list[Problem] = PrivateAttr(default_factory=list)
    _contacts: Iterable[Mapping[str, Any]] | None = PrivateAttr(default=None)
    _connector: Any = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _load_any_json(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return block_of_any_json(cls, data, handler)

    @classmethod
    def from_file(
        cls, path: str | Path, *, id: str = "", subscribed: str = "", unsubscribed: str = ""
    ) -> Self:
        """The contacts of a file.

        Args:
            path: A `.csv` file (RFC 4180) or a `.jsonl` file, in UTF-8.
            id: The column of the contact's id; by default the first of `_id`, `uuid`, `id`.
            subscribed: The column that says who may be asked; by default `subscribed`, in any case and with blanks
                around it. `*`: this audience has no consent column, and everybody may be asked.
            unsubscribed: The column that says who has opted out.

        Example:
            >>> Audience.from_file("customers.csv").describe()
            'customers.csv'
        """
        return cls(path=str(path), id_column=id, subscribed=subscribed, unsubscribed=unsubscribed)

    @classmethod
    def from_sql(
        cls,
        connector: SqlAlchemyConnector | str,
        query: str,
        *,
        id: str = "",
        subscribed: str = "",
        unsubscribed: str = "",
    ) -> Self:
        """The rows of a query.

        Args:
            connector: A `SqlAlchemyConnector` (with a sync driver), or the name of a saved one.
            query: The SQL.
            id: The column of the contact's id; by default the first of `_id`, `uuid`, `id`.
            subscribed, unsubscribed: The consent column, as in `from_file`.

        Example:
            >>> Audience.from_sql("warehouse", "SELECT id, email, subscribed FROM customers").describe()
            'query through warehouse'
        """
        name = connector if isinstance(connector, str) else connector._block_document_name or "unsaved"
        audience = cls(
            connector=name, query=query, id_column=id, subscribed=subscribed, unsubscribed=unsubscribed
        )
        audience._connector = None if isinstance(connector, str) else connector
        return audience

    @classmethod
    def from_contacts(
        cls,
        contacts: Iterable[Mapping[str, Any]],
        *,
        id: str = "",
        subscribed: str = "",
        unsubscribed: str = "",
    ) -> Self:
        """Any iterable of contacts, such as a generator. It is read once.

        Args:
            contacts: Each in Leadpush's shape or flat, as in `CampaignContext`. A NaN in it is null.
            id: The key of the contact's id; by default the first of `_id`, `uuid`, `id`.
            subscribed, unsubscribed: The consent key, as in `from_file`; among a contact's own keys or its attributes.
                As soon as one contact has it, those without are not subscribed.

        Example:
            >>> audience = Audience.from_contacts([{"id": 1, "email": "ana@example.com"}])
            >>> [row.contact_id for row in audience.rows()]
            ['1']
        """
        if not isinstance(contacts, Iterable):
            raise TypeError(f"contacts is a {type(contacts).__name__}, and must be iterable, such as a list.")
        audience = cls(id_column=id, subscribed=subscribed, unsubscribed=unsubscribed)
        audience._contacts = contacts
        return audience

    def __len__(self) -> int:
        raise TypeError("An audience is streamed; it has no length before it is read.")

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.name or self.describe()

    def describe(self) -> str:
        """Where the contacts come from, in words."""
        if self._contacts is not None:
            return "contacts given in Python"
        return f"query through {self.connector}" if self.query else self.path

    def problems(self) -> list[Problem]:
        """What is wrong with the audience. Its first 1,000 rows are read for what they say of consent.

        Example:
            >>> print(Audience().problems()[0])
            path: It has no source. Give a file, or a database and a query.
            >>> print(Audience.from_contacts([{"id": 1}]).problems()[0])
            subscribed: There is no consent column, so everybody is taken for subscribed. Name the column, ...
        """
        found = self.field_problems()
        return found if _errors(found) else [*found, *self._consent_problems()]

    def field_problems(self) -> list[Problem]:
        """What is wrong with the audience's fields; nothing is read."""
        found = list(self._unusable)
        if self._contacts is None:
            found += self._source_problems()
        found += [Problem("error", *parts) for parts in named_problems(self.subscribed, self.unsubscribed)]
        return found

    def _consent_problems(self) -> list[Problem]:
        if self.is_read_once:
            return []
        columns = self.consent_columns()
        try:
            read = sum(1 for _ in islice(self.rows(columns), LOOKED_AT))
        except ConsentUnclear as error:
            return [Problem("error", "subscribed", error.sentence, error.remedy)]
        except Exception:  # what else is wrong with the source is the run's to say
            return []
        if not read or columns.found or columns.has_none:
            return []
        sentence = f"There is {NO_CONSENT_COLUMN}."
        remedy = 'Name the column, or write subscribed="*" if there is none.'
        return [Problem("warning", "subscribed", sentence, remedy)]

    def _source_problems(self) -> Iterator[Problem]:
        if self.path and (self.query or self.connector):
            yield Problem("error", "path", "There is a file and a query.", "Leave one of them out.")
        elif self.path:
            if self._ending() not in (CSV, *JSON_LINES):
                yield Problem("error", "path", "It is neither .csv nor .jsonl.", "Give a CSV or JSONL file.")
        elif self.query and not self.connector:
            yield Problem("error", "connector", "It is empty.", "Name the SqlAlchemyConnector block to ask.")
        elif self.connector and not self.query:
            yield Problem("error", "query", "It is empty.", "Write the SQL whose rows are the contacts.")
        elif not self.query:
            yield Problem("error", "path", "It has no source.", "Give a file, or a database and a query.")

    def _ending(self) -> str:
        return Path(self.path).suffix.lower()

    def consent_columns(self, *, refuse: bool = True) -> ConsentColumns:
        """The columns that say who may be asked, for one reading of the audience.

        Args:
            refuse: Whether a column that looks like consent and is not named ends the reading.
        """
        return ConsentColumns(self.subscribed, self.unsubscribed, source=str(self), refuse=refuse)

    def rows(self, consent: ConsentColumns | None = None) -> Iterator[ContactRow | InvalidRow]:
        """The contacts, streamed: each as it will be stored, or why it cannot be.

        Args:
            consent: Which columns say who may be asked; afterwards it tells which of them were met.

        Raises:
            AudienceInvalid: if the source as a whole cannot be read, or it is not clear who may be asked.
        """
        from leadpush_prefect.audiences import readers

        consent = consent or self.consent_columns()
        if self._contacts is not None:
            return readers.read_contacts(self._contacts, id=self.id_column, consent=consent)
        if self.query:
            from leadpush_prefect.audiences.sql import read_query

            connector = self._connector or self._load_connector()
            return read_query(connector, self.query, id=self.id_column, consent=consent)
        read = readers.read_csv if self._ending() == CSV else readers.read_jsonl
        return read(self.path, id=self.id_column, consent=consent)

    @property
    def is_read_once(self) -> bool:
        """Whether its contacts come from an iterator, which is spent when it was read, and may have no end."""
        return isinstance(self._contacts, Iterator)

    def find(self, contact_id: str, *, include_unsubscribed: bool = False) -> dict[str, Any]:
        """One contact, for a campaign that an event starts.

        The audience is read until the contact comes; of a large one, give a query that gives few rows. Of contacts in
        JSON or Python that do not say whether they are subscribed, it is read until another one does.

        Args:
            contact_id: The contact's id.
            include_unsubscribed: Whether it does not matter which column says who may be asked.

        Returns:
            The contact in Leadpush's shape; its `subscribed` says whether it may be asked.

        Raises:
            AudienceInvalid: if there is no such contact, the source cannot be read, or it is not clear who may be asked.
            BlockInvalid: if the audience has problems.

        Example:
            >>> Audience.from_contacts([{"id": 1}, {"id": 2, "plan": "pro"}]).find("2")["attributes"]
            {'plan': 'pro'}
        """
        from leadpush_prefect.model.consent import Consent
        from leadpush_prefect.model.contact import InvalidRow
        from leadpush_prefect.text.json_text import from_json

        if errors := _errors(self.field_problems()):
            raise BlockInvalid(f"Audience {self.name}".strip(), errors)
        columns = self.consent_columns(refuse=not include_unsubscribed)
        rows = self.rows(columns)
        invalid: list[InvalidRow] = []
        for row in rows:
            if isinstance(row, InvalidRow):
                invalid.append(row)
            elif row.contact_id == contact_id:
                contact: dict[str, Any] = from_json(row.data)
                if row.consent is Consent.NO_COLUMN and not columns.is_table:
                    contact["subscribed"] = not any(columns.found for _ in rows)
                return contact
        rows_of = "1 row" if len(invalid) == 1 else f"{len(invalid):,} rows"
        some = f" {rows_of} cannot be used: {invalid[0].place}: {invalid[0].sentence}" if invalid else ""
        raise AudienceInvalid(f"Contact {contact_id} is not in the audience ({self.describe()}).{some}")

    def _load_connector(self) -> Any:
        from prefect_sqlalchemy import SqlAlchemyConnector

        from leadpush_prefect.blocks.loading import load_block

        return load_block(SqlAlchemyConnector, self.connector, field="connector")

    def _problems_of_saving(self) -> list[Problem]:
        if self._contacts is None:
            return self.field_problems()
        sentence = "Contacts given in Python cannot be saved."
        return [Problem("error", "path", sentence, "Write them to a file, or into a database.")]


def _errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]
