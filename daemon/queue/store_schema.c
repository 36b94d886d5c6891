/* store_schema.c - the tables of queue.db and every statement the store uses.
 *
 * `at_ms` means by state: scheduled, when it is due; ready, when it was marked as started
 * (at-most-once targets only); finished, when it may be deleted. The partial
 * indexes hold only the rows that are looked for, so a job costs one index entry at a time; each
 * entry ends with the id. Counts per lane are kept in the same transactions, so nothing is ever
 * counted by scanning. */
#include "queue/store_schema.h"

#include "queue/store_sqlite.h"

static const char version_1[] =
    "CREATE TABLE lane (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  queue TEXT NOT NULL,\n"
    "  target TEXT NOT NULL,\n"
    "  scheduled INTEGER NOT NULL DEFAULT 0,\n"
    "  blocked INTEGER NOT NULL DEFAULT 0,\n"
    "  ready INTEGER NOT NULL DEFAULT 0,\n"
    "  running INTEGER NOT NULL DEFAULT 0,\n"
    "  done INTEGER NOT NULL DEFAULT 0,\n"
    "  dead INTEGER NOT NULL DEFAULT 0,\n"
    "  cancelled INTEGER NOT NULL DEFAULT 0,\n"
    "  uncertain INTEGER NOT NULL DEFAULT 0,\n"
    "  UNIQUE (queue, target)\n"
    ") STRICT;\n"
    "CREATE TABLE job (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  lane INTEGER NOT NULL,\n"
    "  state INTEGER NOT NULL,\n"
    "  priority INTEGER NOT NULL,\n"
    "  at_ms INTEGER,\n"
    "  attempts INTEGER NOT NULL,\n"
    "  retries INTEGER NOT NULL,\n"
    "  interruptions INTEGER NOT NULL,\n"
    "  started_ms INTEGER,\n"
    "  finished_ms INTEGER,\n"
    "  timeout_ms INTEGER NOT NULL,\n"
    "  backoff_min_ms INTEGER NOT NULL,\n"
    "  backoff_max_ms INTEGER NOT NULL,\n"
    "  keep_ms INTEGER NOT NULL,\n"
    "  format INTEGER NOT NULL,\n"
    "  error_code TEXT,\n"
    "  error_message TEXT,\n"
    "  result BLOB,\n"
    "  payload BLOB NOT NULL\n"
    ") STRICT;\n"
    "CREATE INDEX job_ready ON job (lane, priority) WHERE state = 2;\n"
    "CREATE INDEX job_due ON job (at_ms) WHERE state = 0;\n"
    "CREATE INDEX job_finished ON job (at_ms) WHERE state >= 4;\n"
    "CREATE TABLE ceiling (id INTEGER PRIMARY KEY CHECK (id = 1), job INTEGER NOT NULL) STRICT;\n"
    "INSERT INTO ceiling VALUES (1, 0);\n";

/* What ordinary jobs do without: `job.flags` says what else there is about one. `extra.live` is
 * whether the job has not finished, `blockers` how many jobs it still waits for; `position` orders
 * the jobs of one serial key. A bind's value is known once its parent is done. Rows that belong to
 * a job go when it goes. */
static const char version_2[] =
    "ALTER TABLE lane ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;\n"
    "ALTER TABLE job ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;\n"
    "UPDATE lane SET bytes = coalesce((SELECT sum(length(payload)) FROM job WHERE lane = lane.id "
    "AND state < 4), 0);\n"
    "CREATE TABLE extra (\n"
    "  job INTEGER PRIMARY KEY,\n"
    "  live INTEGER NOT NULL,\n"
    "  key BLOB,\n"
    "  serial BLOB,\n"
    "  position INTEGER,\n"
    "  expire_ms INTEGER,\n"
    "  onfail INTEGER NOT NULL,\n"
    "  blockers INTEGER NOT NULL,\n"
    "  due_ms INTEGER\n"
    ") STRICT;\n"
    "CREATE UNIQUE INDEX extra_key ON extra (key) WHERE live = 1 AND key IS NOT NULL;\n"
    "CREATE UNIQUE INDEX extra_serial ON extra (serial, position) "
    "WHERE live = 1 AND serial IS NOT NULL;\n"
    "CREATE INDEX extra_expire ON extra (expire_ms) WHERE live = 1 AND expire_ms IS NOT NULL;\n"
    "CREATE TABLE dependency (\n"
    "  parent INTEGER NOT NULL,\n"
    "  child INTEGER NOT NULL,\n"
    "  PRIMARY KEY (parent, child)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX dependency_child ON dependency (child);\n"
    /* jobs that have ended while there are still dependencies on them; `result` if values out of it
     * are wanted */
    "CREATE TABLE ending (\n"
    "  parent INTEGER PRIMARY KEY,\n"
    "  state INTEGER NOT NULL,\n"
    "  has_header INTEGER NOT NULL,\n"
    "  result BLOB\n"
    ") STRICT;\n"
    "CREATE TABLE bind (\n"
    "  child INTEGER NOT NULL,\n"
    "  argument INTEGER NOT NULL,\n"
    "  parent INTEGER NOT NULL,\n"
    "  row INTEGER NOT NULL,\n"
    "  column INTEGER NOT NULL,\n"
    "  known INTEGER NOT NULL DEFAULT 0,\n"
    "  value BLOB,\n"
    "  PRIMARY KEY (child, argument)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX bind_parent ON bind (parent) WHERE known = 0;\n"
    "CREATE TABLE attempt (\n"
    "  job INTEGER NOT NULL,\n"
    "  number INTEGER NOT NULL,\n"
    "  started_ms INTEGER,\n"
    "  ended_ms INTEGER NOT NULL,\n"
    "  error_code TEXT,\n"
    "  error_message TEXT,\n"
    "  PRIMARY KEY (job, number)\n"
    ") STRICT, WITHOUT ROWID;\n"
    /* a dead job among millions that are done, a blocked one among millions that are not */
    "CREATE INDEX job_failed ON job (state, lane) WHERE state > 4;\n"
    "CREATE INDEX job_blocked ON job (lane) WHERE state = 1;\n"
    "CREATE INDEX job_scheduled ON job (lane) WHERE state = 0;\n"
    "CREATE TRIGGER job_goes AFTER DELETE ON job WHEN old.flags <> 0 BEGIN\n"
    "  DELETE FROM extra WHERE job = old.id;\n"
    "  DELETE FROM bind WHERE child = old.id;\n"
    "  DELETE FROM dependency WHERE child = old.id;\n"
    "  DELETE FROM attempt WHERE job = old.id;\n"
    "END;\n"
    /* kind 0: a queue, 1: a target */
    "CREATE TABLE paused (\n"
    "  kind INTEGER NOT NULL,\n"
    "  name TEXT NOT NULL,\n"
    "  since_ms INTEGER NOT NULL,\n"
    "  PRIMARY KEY (kind, name)\n"
    ") STRICT, WITHOUT ROWID;\n"
    /* `request` holds SUBMIT's words as a payload does arguments */
    "CREATE TABLE cron (\n"
    "  name TEXT PRIMARY KEY,\n"
    "  expression TEXT NOT NULL,\n"
    "  zone TEXT NOT NULL,\n"
    "  misfire INTEGER NOT NULL,\n"
    "  next_ms INTEGER,\n"
    "  last_ms INTEGER,\n"
    "  last_job INTEGER,\n"
    "  request BLOB NOT NULL\n"
    ") STRICT, WITHOUT ROWID;\n";

/* COALESCE, NULL: as the target says. */
static const char version_3[] = "ALTER TABLE job ADD COLUMN gather INTEGER;\n";

/* The store does what the trigger did: it cost every end of a job, and most have nothing in those
 * tables. */
static const char version_4[] = "DROP TRIGGER job_goes;\n";

const char *const store_migrations[STORE_SCHEMA_VERSION] = {version_1, version_2, version_3,
                                                            version_4};

#define SMALL_COLUMNS \
    "id, lane, state, priority, at_ms, attempts, retries, interruptions, started_ms, " \
    "finished_ms, timeout_ms, backoff_min_ms, backoff_max_ms, keep_ms, format, flags, gather, " \
    "error_code, error_message"
#define JOB_COLUMNS SMALL_COLUMNS ", result, payload"

#define WALK_COLUMNS SMALL_COLUMNS ", NULL, iif(?5, payload, NULL)"

const char *const store_statement_texts[STATEMENTS] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLL_BACK] = "ROLLBACK",
    /* a failure ends the transaction: no statement has to be taken back by itself, for which SQLite
     * would keep the pages */
    [STATEMENT_INSERT_NEW] =
        "INSERT OR FAIL INTO job (" STORE_NEW_COLUMNS ", attempts, interruptions) "
        "SELECT " STORE_NEW_COLUMNS ", 0, 0 FROM new_job",
    /* state and attempts are checked: a late answer never overwrites a newer one */
    [STATEMENT_FINISH] =
        "UPDATE job SET state = ?3, at_ms = ?4, attempts = ?5, interruptions = ?6, "
        "started_ms = ?7, finished_ms = ?8, error_code = ?9, error_message = ?10, "
        "result = ?11 WHERE id = ?1 AND state = 2 AND attempts = ?2",
    /* iif, not AND: the functions tell a change that it applies, and SQLite may ask the terms of an
     * AND in any order */
    [STATEMENT_FINISH_KEPT] =
        "UPDATE OR FAIL job NOT INDEXED SET state = outcome(id, 0), at_ms = outcome(id, 1), "
        "attempts = outcome(id, 2), interruptions = outcome(id, 3), started_ms = outcome(id, 4), "
        "finished_ms = outcome(id, 5), error_code = NULL, error_message = NULL, "
        "result = outcome(id, 6) WHERE id IN (SELECT id FROM kept_job) AND "
        "iif(state = 2, kept(id, attempts, flags), 0)",
    [STATEMENT_DELETE_ENDED_JOBS] =
        "DELETE FROM job NOT INDEXED WHERE id IN (SELECT id FROM ended_job) AND "
        "iif(state = 2, ended(id, attempts, flags), 0)",
    [STATEMENT_RETRY] = "UPDATE job SET state = 0, at_ms = ?3, attempts = ?4, interruptions = ?5, "
                        "started_ms = ?6, error_code = ?7, error_message = ?8 "
                        "WHERE id = ?1 AND state = 2 AND attempts = ?2",
    [STATEMENT_MARK] = "UPDATE job SET at_ms = ?3 WHERE id = ?1 AND state = 2 AND attempts = ?2",
    [STATEMENT_CANCEL] = "UPDATE job SET state = 6, at_ms = ?2 + keep_ms, finished_ms = ?2 "
                         "WHERE id = ?1 AND state = ?3 RETURNING lane, length(payload), flags",
    /* the first that are due, as many as fit into ?3 bytes and at least one: they come into
     * memory */
    [STATEMENT_WAKE] =
        "UPDATE job SET state = 2, at_ms = NULL WHERE id IN (SELECT id FROM (SELECT id, size, "
        "sum(size) OVER (ORDER BY at_ms, id ROWS UNBOUNDED PRECEDING) AS total FROM "
        "(SELECT id, at_ms, length(payload) AS size FROM job WHERE state = 0 AND at_ms <= ?1 "
        "ORDER BY at_ms, id LIMIT ?2)) WHERE total - size < ?3) RETURNING " JOB_COLUMNS,
    [STATEMENT_PURGE] = "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE state >= 4 AND "
                        "at_ms <= ?1 ORDER BY at_ms LIMIT ?2) RETURNING lane, state, id, flags",
    [STATEMENT_DROP] = "DELETE FROM job WHERE id = ?1 AND state = 6 RETURNING id, flags",
    [STATEMENT_PAUSE] = "INSERT OR IGNORE INTO paused (kind, name, since_ms) VALUES (?1, ?2, ?3)",
    [STATEMENT_RESUME] = "DELETE FROM paused WHERE kind = ?1 AND name = ?2",
    [STATEMENT_LANE_INSERT] = "INSERT INTO lane (id, queue, target) VALUES (?1, ?2, ?3)",
    [STATEMENT_LANE_COUNTS] =
        "UPDATE lane SET scheduled = ?2, blocked = ?3, ready = ?4, running = ?5, done = ?6, "
        "dead = ?7, cancelled = ?8, uncertain = ?9, bytes = ?10 WHERE id = ?1",
    [STATEMENT_CEILING] = "UPDATE ceiling SET job = ?1 WHERE id = 1",
    /* in two parts, each of which seeks to its first row */
    [STATEMENT_READ_READY] =
        "SELECT " JOB_COLUMNS " FROM job WHERE state = 2 AND lane = ?1 AND priority = ?2 AND "
        "id > ?3 UNION ALL SELECT " JOB_COLUMNS " FROM job WHERE state = 2 AND lane = ?1 AND "
        "priority > ?2 ORDER BY priority, id LIMIT ?4",
    [STATEMENT_LIST_READY] =
        "SELECT priority, id FROM job WHERE state = 2 AND lane = ?1 AND priority = ?2 AND id > ?3 "
        "AND id <= ?5 UNION ALL SELECT priority, id FROM job WHERE state = 2 AND lane = ?1 AND "
        "priority > ?2 AND id <= ?5 ORDER BY priority, id LIMIT ?4",
    [STATEMENT_LIST_HELD] =
        "SELECT id FROM job INDEXED BY job_scheduled WHERE state = 0 AND lane = ?1 AND id < ?2 "
        "UNION ALL SELECT id FROM job INDEXED BY job_blocked WHERE state = 1 AND lane = ?1 AND "
        "id < ?2 ORDER BY id DESC LIMIT ?3",
    [STATEMENT_READ_PAUSED] = "SELECT kind, name, since_ms FROM paused",
    [STATEMENT_NEXT_DUE] = "SELECT at_ms FROM job WHERE state = 0 ORDER BY at_ms LIMIT 1",
    [STATEMENT_NEXT_PURGE] = "SELECT at_ms FROM job WHERE state >= 4 ORDER BY at_ms LIMIT 1",
    [STATEMENT_READ_JOB] = "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1",
    /* large values are read only when they are looked at */
    [STATEMENT_SCAN] = "SELECT " SMALL_COLUMNS ", NULL, iif(?2, payload, NULL) FROM job "
                       "WHERE id > ?1 ORDER BY id",

    [STATEMENT_KEY_OWNER] = "SELECT job FROM extra WHERE live = 1 AND key = ?1",
    [STATEMENT_SERIAL_FIRST] = "SELECT job, position FROM extra WHERE live = 1 AND serial = ?1 "
                               "ORDER BY position LIMIT 1",
    [STATEMENT_EXTRA_INSERT] =
        "INSERT INTO extra (job, live, key, serial, position, expire_ms, onfail, blockers, "
        "due_ms) VALUES (?1, 1, ?2, ?3, ?1, ?4, ?5, ?6, ?7)",
    [STATEMENT_EXTRA_READ] =
        "SELECT key, serial, expire_ms, blockers, onfail, live FROM extra WHERE job = ?1",
    [STATEMENT_EXTRA_END] = "UPDATE extra SET live = 0, blockers = 0 WHERE job = ?1 AND live = 1 "
                            "RETURNING serial, position",
    [STATEMENT_EXTRA_UNBLOCK] =
        "UPDATE extra SET blockers = blockers - 1 WHERE job = ?1 AND live = 1 AND blockers > 0 "
        "RETURNING blockers, due_ms",
    [STATEMENT_EXPIRED] = "SELECT job, expire_ms FROM extra WHERE live = 1 AND "
                          "expire_ms IS NOT NULL AND expire_ms <= ?1 ORDER BY expire_ms LIMIT 1",
    [STATEMENT_EXPIRE_NEVER] = "UPDATE extra SET expire_ms = NULL WHERE job = ?1",
    [STATEMENT_NEXT_EXPIRY] = "SELECT expire_ms FROM extra WHERE live = 1 AND "
                              "expire_ms IS NOT NULL ORDER BY expire_ms LIMIT 1",
    [STATEMENT_HEAD] =
        "SELECT state, lane, flags, keep_ms, length(payload) FROM job WHERE id = ?1",
    [STATEMENT_END] = "UPDATE job SET state = ?2, at_ms = ?3, finished_ms = ?4, error_code = ?5, "
                      "error_message = ?6 WHERE id = ?1 AND state < 4",
    [STATEMENT_DELETE_ENDED] = "DELETE FROM job WHERE id = ?1 AND state >= 4 RETURNING id, flags",
    [STATEMENT_UNBLOCK] = "UPDATE job SET state = ?2, at_ms = ?3 WHERE id = ?1 AND state = 1",
    [STATEMENT_PARENT_INSERT] = "INSERT INTO dependency (parent, child) SELECT ?1, ?2 WHERE "
                                "EXISTS (SELECT 1 FROM job WHERE id = ?1 AND state < 4)",
    [STATEMENT_PARENTS] = "SELECT parent FROM dependency WHERE child = ?1 ORDER BY parent",
    [STATEMENT_PARENTS_FORGET] = "DELETE FROM dependency WHERE child = ?1",
    [STATEMENT_EXTRA_FORGET] = "DELETE FROM extra WHERE job = ?1",
    [STATEMENT_BINDS_FORGET] = "DELETE FROM bind WHERE child = ?1",
    [STATEMENT_ATTEMPTS_FORGET] = "DELETE FROM attempt WHERE job = ?1",
    [STATEMENT_CHILD] = "SELECT child, live, onfail, extra.job FROM dependency LEFT JOIN extra ON "
                        "extra.job = child WHERE parent = ?1 ORDER BY child LIMIT 1",
    [STATEMENT_CHILD_RELEASED] = "DELETE FROM dependency WHERE parent = ?1 AND child = ?2",
    [STATEMENT_ANY_DEPENDENCY] = "SELECT EXISTS (SELECT 1 FROM dependency)",
    [STATEMENT_ENDING_INSERT] = "INSERT OR IGNORE INTO ending VALUES (?1, ?2, ?3, ?4)",
    [STATEMENT_ENDING_FIRST] = "SELECT parent, state, has_header, result FROM ending LIMIT 1",
    [STATEMENT_ENDING_DELETE] = "DELETE FROM ending WHERE parent = ?1",
    [STATEMENT_BIND_INSERT] = "INSERT INTO bind (child, argument, parent, row, column) "
                              "VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_BINDS_OPEN] = "SELECT argument, row, column FROM bind WHERE child = ?1 AND "
                             "parent = ?2 AND known = 0 ORDER BY argument LIMIT 1",
    [STATEMENT_BIND_SET] =
        "UPDATE bind SET known = 1, value = ?3 WHERE child = ?1 AND argument = ?2",
    [STATEMENT_BIND_VALUES] = "SELECT payload, argument, value, known FROM job LEFT JOIN bind ON "
                              "child = id WHERE id = ?1 ORDER BY argument",
    [STATEMENT_BIND_WANTED] =
        "SELECT EXISTS (SELECT 1 FROM bind WHERE parent = ?1 AND known = 0)",
    [STATEMENT_RESULT] = "SELECT result FROM job WHERE id = ?1",
    [STATEMENT_PAYLOAD] = "UPDATE job SET payload = ?2 WHERE id = ?1",
    /* ?1 state, ?2 lane, ?3 key, ?4 id, ?5 with payloads; each part seeks to its first row */
    [STATEMENT_WALK_SCHEDULED] =
        "SELECT " WALK_COLUMNS " FROM job WHERE state = 0 AND at_ms = ?3 AND id > ?4 UNION ALL "
        "SELECT " WALK_COLUMNS " FROM job WHERE state = 0 AND at_ms > ?3 ORDER BY at_ms, id",
    [STATEMENT_WALK_BLOCKED] = "SELECT " WALK_COLUMNS " FROM job WHERE state = 1 AND lane = ?2 "
                               "AND id > ?4 ORDER BY id",
    [STATEMENT_WALK_READY] =
        "SELECT " WALK_COLUMNS " FROM job WHERE state = 2 AND lane = ?2 AND priority = ?3 AND "
        "id > ?4 UNION ALL SELECT " WALK_COLUMNS " FROM job WHERE state = 2 AND lane = ?2 AND "
        "priority > ?3 ORDER BY priority, id",
    [STATEMENT_WALK_FINISHED] =
        "SELECT " WALK_COLUMNS " FROM job WHERE state >= 4 AND at_ms = ?3 AND id > ?4 UNION ALL "
        "SELECT " WALK_COLUMNS " FROM job WHERE state >= 4 AND at_ms > ?3 ORDER BY at_ms, id",
    [STATEMENT_WALK_FAILED] = "SELECT " WALK_COLUMNS " FROM job WHERE state > 4 AND state = ?1 "
                              "AND lane = ?2 AND id > ?4 ORDER BY id",
    [STATEMENT_LOOK] = "SELECT state, flags, lane, length(payload) FROM job WHERE id = ?1",
    [STATEMENT_REVIVE] =
        "UPDATE job SET state = ?3, at_ms = NULL, attempts = 0, interruptions = 0, "
        "finished_ms = NULL, result = NULL WHERE id = ?1 AND state = ?2 AND state > 4 "
        "RETURNING " JOB_COLUMNS,
    /* it goes to the end of its line, and an expiry that is over does not end it again */
    [STATEMENT_REVIVE_EXTRA] =
        "UPDATE extra SET live = 1, expire_ms = NULL, due_ms = NULL, position = ?2, blockers = ?3 "
        "WHERE job = ?1",
    [STATEMENT_SERIAL_AHEAD] = "SELECT 1 FROM extra AS own JOIN extra AS other ON other.serial = "
                               "own.serial AND other.live = 1 WHERE own.job = ?1 LIMIT 1",
    /* 1: a value is missing, or could not be put in */
    [STATEMENT_BIND_LACKING] =
        "SELECT 1 FROM job WHERE id = ?1 AND (error_code = 'BIND' OR EXISTS (SELECT 1 FROM bind "
        "WHERE child = ?1 AND known = 0))",
    [STATEMENT_KEY_HELD] = "SELECT 1 FROM extra AS own JOIN extra AS other ON other.key = own.key "
                           "AND other.live = 1 WHERE own.job = ?1 LIMIT 1",
    [STATEMENT_DELETE_FINISHED] = "DELETE FROM job WHERE id = ?1 AND state = ?2 AND state >= 4 "
                                  "RETURNING id, flags",
    [STATEMENT_PROMOTE] = "UPDATE job SET state = 2, at_ms = NULL WHERE id = ?1 AND state = 0 "
                          "RETURNING " JOB_COLUMNS,
    [STATEMENT_ATTEMPT_INSERT] =
        "INSERT INTO attempt SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 FROM attempt "
        "WHERE job = ?1 RETURNING number",
    [STATEMENT_ATTEMPT_FLAG] = "UPDATE job SET flags = flags | 32 WHERE id = ?1 AND flags & 32 = 0",
    [STATEMENT_ATTEMPT_TRIM] = "DELETE FROM attempt WHERE job = ?1 AND number <= ?2",
    [STATEMENT_READ_ATTEMPTS] = "SELECT number, started_ms, ended_ms, error_code, error_message "
                                "FROM attempt WHERE job = ?1 ORDER BY number",
    [STATEMENT_CRON_SET] =
        "INSERT INTO cron (name, expression, zone, misfire, next_ms, last_ms, last_job, request) "
        "VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, ?6) ON CONFLICT (name) DO UPDATE SET "
        "expression = ?2, zone = ?3, misfire = ?4, next_ms = ?5, request = ?6",
    [STATEMENT_CRON_STEP] =
        "UPDATE cron SET next_ms = ?2, last_ms = ?3, last_job = ?4 WHERE name = ?1",
    [STATEMENT_CRON_DELETE] = "DELETE FROM cron WHERE name = ?1",
    [STATEMENT_CRON_READ] = "SELECT name, expression, zone, misfire, next_ms, last_ms, last_job, "
                            "request FROM cron ORDER BY name",
};
