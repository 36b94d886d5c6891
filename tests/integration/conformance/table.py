"""table.py - what the conformance suite covers: one row for each command, subcommand and option.

    use      used as documented, in RESP2 and in RESP3; "-" of TARGET INIT, which needs PostgreSQL
             and is used in test_exactly_once.py
    wrong    misused: the exact error word, a message that names what was wrong, nothing stored, and
             the connection goes on, in RESP2 and in RESP3; "-" where no use is wrong
    restart  the daemon is stopped, and in another run killed, in the middle, in RESP2 and in RESP3;
             "-" where the command leaves nothing behind that could be lost

test_conformance_table.py fails when the daemon has a command, or SUBMIT an option, or PROTOCOL.md a
word without a row here, or a row's marks are not what the cases cover.
"""

import collections

ROWS = """
SUBMIT                  use wrong restart
SUBMIT QUEUE            use wrong restart
SUBMIT PRIORITY         use wrong restart
SUBMIT DELAY            use wrong restart
SUBMIT AT               use wrong restart
SUBMIT TIMEOUT          use wrong restart
SUBMIT EXPIRE           use wrong restart
SUBMIT RETRY            use wrong restart
SUBMIT BACKOFF          use wrong restart
SUBMIT KEY              use wrong restart
SUBMIT SERIAL           use wrong restart
SUBMIT AFTER            use wrong restart
SUBMIT ONFAIL           use wrong restart
SUBMIT BIND             use wrong restart
SUBMIT NULL             use wrong restart
SUBMIT KEEP             use wrong restart
SUBMIT FORMAT           use wrong restart
SUBMIT COALESCE         use wrong restart
RUN                     use wrong restart
RUN TIMEOUT             use wrong -
RUN FORMAT              use wrong -
RUN NULL                use wrong -
MULTI                   use wrong restart
EXEC                    use wrong restart
DISCARD                 use wrong restart
AWAIT                   use wrong restart
AWAIT TIMEOUT           use wrong -
GATHER                  use wrong restart
GATHER TIMEOUT          use wrong -
RACE                    use wrong restart
RACE TIMEOUT            use wrong -
JOB                     use wrong restart
JOBS                    use wrong restart
JOBS QUEUE              use wrong restart
JOBS STATE              use wrong restart
JOBS TARGET             use wrong restart
JOBS MATCH              use wrong restart
JOBS LIMIT              use wrong -
JOBS CURSOR             use wrong restart
CANCEL                  use wrong restart
CANCEL WHERE            use wrong restart
RETRY                   use wrong restart
RETRY WHERE             use wrong restart
DELETE                  use wrong restart
DELETE WHERE            use wrong restart
PROMOTE                 use wrong restart
PROMOTE WHERE           use wrong restart
QUEUES                  use wrong restart
QUEUE STATS             use wrong restart
QUEUE PAUSE             use wrong restart
QUEUE RESUME            use wrong restart
QUEUE PURGE             use wrong restart
TARGETS                 use wrong restart
TARGET STATS            use wrong restart
TARGET PAUSE            use wrong restart
TARGET RESUME           use wrong restart
TARGET INIT             -   wrong -
TARGET INIT SQL         -   wrong -
RESERVE                 use wrong restart
RESERVE COUNT           use wrong restart
RESERVE TIMEOUT         use wrong -
RESERVE LEASE           use wrong restart
ACK                     use wrong restart
NACK                    use wrong restart
NACK DELAY              use wrong restart
NACK ERROR              use wrong restart
EXTEND                  use wrong restart
PROGRESS                use wrong restart
CRON SET                use wrong restart
CRON SET TZ             use wrong restart
CRON SET MISFIRE        use wrong restart
CRON SET SUBMIT         use wrong restart
CRON LIST               use wrong restart
CRON GET                use wrong restart
CRON DEL                use wrong restart
CRON RUN                use wrong restart
ENTER                   use wrong restart
ENTER TIMEOUT           use wrong -
EXIT                    use wrong restart
SUBSCRIBE               use wrong restart
PSUBSCRIBE              use wrong restart
UNSUBSCRIBE             use -     -
PUNSUBSCRIBE            use -     -
PING                    use wrong -
ECHO                    use wrong -
HELLO                   use wrong restart
HELLO AUTH              use wrong -
HELLO SETNAME           use wrong -
AUTH                    use wrong -
SELECT                  use wrong -
CLIENT SETNAME          use wrong restart
CLIENT GETNAME          use wrong -
CLIENT SETINFO          use wrong -
CLIENT ID               use wrong -
CLIENT INFO             use wrong -
CLIENT LIST             use wrong -
CLIENT KILL             use wrong -
COMMAND                 use wrong -
COMMAND COUNT           use -     -
COMMAND LIST            use -     -
COMMAND INFO            use -     -
COMMAND DOCS            use -     -
CONFIG GET              use wrong -
INFO                    use wrong restart
METRICS                 use wrong restart
RESET                   use wrong -
QUIT                    use -     -
BACKUP                  use wrong restart
RELOAD                  use wrong restart
SHUTDOWN                use wrong restart
SHUTDOWN DRAIN          use wrong restart
"""

ASPECTS = ("use", "wrong", "restart")


def parse(text):
    rows = {}
    for line in text.strip().splitlines():
        *words, use, wrong, restart = line.split()
        marks = (use, wrong, restart)
        assert all(mark in (aspect, "-") for mark, aspect in zip(marks, ASPECTS)), line
        rows[" ".join(words)] = {aspect for aspect, mark in zip(ASPECTS, marks) if mark != "-"}
    return rows


TABLE = parse(ROWS)

Wrong = collections.namedtuple("Wrong", "row words message")

USES = []  # (row, function of a stage)
WRONGS = []
RESTARTS = []  # (row, function of a stage that yields where the daemon is restarted)


def use(row):
    def keep(function):
        USES.append((row, function))
        return function
    return keep


def restart(row):
    def keep(function):
        RESTARTS.append((row, function))
        return function
    return keep


def wrong(row, *cases):
    """Each case: the words, and the reply. In that " ... " stands for anything; it need not be the
    whole, but begins with the error word. WORKER and LOCAL stand for the stage's targets."""
    for words, message in cases:
        WRONGS.append(Wrong(row, tuple(words.split()) if isinstance(words, str) else words,
                            message))


def case_name(row, function):
    return f"{row}: {function.__name__}"
