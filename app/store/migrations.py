"""The schema as numbered steps; `PRAGMA user_version` says how many of them a file has had. Steps are never edited."""

from __future__ import annotations

APPLICATION_ID = 0x4E61626C
"""Marks the file as ours ("Nabl")."""

RUNS = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of creation, whatever the clock says
    id TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    owner TEXT NOT NULL,
    spec TEXT NOT NULL,                        -- JSON, as RunSpec.to_dict writes it
    state TEXT NOT NULL,
    sentence TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,     -- counts how often points were taken back
    snapshot TEXT NOT NULL                     -- JSON: step, examples, epoch, seconds and the latest metrics
);
CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    examples INTEGER NOT NULL,
    seconds REAL NOT NULL,
    train_loss REAL, l1_loss REAL, l2_loss REAL, train_accuracy REAL,
    validation_loss REAL, validation_accuracy REAL, test_accuracy REAL,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE TABLE checkpoints (
    run INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    size INTEGER NOT NULL,
    written TEXT NOT NULL
);
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,                     -- digest of what was asked for
    run TEXT NOT NULL,
    created TEXT NOT NULL
) WITHOUT ROWID;
"""

TEST_LOSS = """
ALTER TABLE metrics ADD COLUMN test_loss REAL;
"""

SOLVED = """
CREATE TABLE solved (
    visitor TEXT NOT NULL,
    lab TEXT NOT NULL,
    task TEXT NOT NULL,
    query TEXT NOT NULL,                       -- the settings in which it was solved, as an address says them
    at TEXT NOT NULL,                          -- how many updates each run had done, with points between them
    note TEXT NOT NULL,
    solved TEXT NOT NULL,                      -- when
    PRIMARY KEY (visitor, lab, task)
) WITHOUT ROWID;
"""

DRAWINGS = """
CREATE TABLE drawings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    visitor TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    label INTEGER NOT NULL,                    -- the digit that it shows, as its visitor says
    pixels BLOB NOT NULL,                      -- 28×28 bytes of ink, row by row
    created TEXT NOT NULL
);
CREATE INDEX drawings_of_visitor ON drawings (visitor, number);
"""

OWNERS = """
ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'run';      -- or 'lab': made by a lab, and in no list
ALTER TABLE runs ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;     -- the others of a class may look at it
ALTER TABLE runs ADD COLUMN named INTEGER NOT NULL DEFAULT 0;      -- somebody chose its name: it is never deleted unasked
ALTER TABLE runs ADD COLUMN touched TEXT NOT NULL DEFAULT '';      -- when somebody last wanted something of it
UPDATE runs SET kind = 'lab', owner = 'local' WHERE owner = 'lab';
UPDATE runs SET touched = created;
CREATE INDEX runs_of_owner ON runs (owner, number);
CREATE TABLE people (
    person TEXT PRIMARY KEY,                   -- the public name of somebody who has joined the class
    nickname TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE,                -- digest of the token for programs
    joined TEXT NOT NULL,
    seen TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE class (
    key TEXT PRIMARY KEY,                      -- the join code and the lecturer's token
    value TEXT NOT NULL
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (RUNS, TEST_LOSS, SOLVED, DRAWINGS, OWNERS)
