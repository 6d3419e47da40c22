#pragma once
/* The view's SQLite file: schema, opening, and statements without ceremony. Only view*.c include this. */
#include "base/uuid.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { VIEW_SCHEMA = 9 };

/* For the one writer: makes the schema; throws the file away if it is of another schema, boot, cluster, or was fed longer than 7 d ago. */
int view_db_open_writer(const char *path, const char *cluster_id, sqlite3 **out, struct err *err);
int view_db_open_reader(const char *path, sqlite3 **out, struct err *err);
int view_db_empty(sqlite3 *db, struct err *err); /* all rows, in the transaction that is open */

int view_db_run(sqlite3 *db, const char *sql, struct err *err);
int view_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err); /* persistent */
int view_db_fail(sqlite3 *db, const char *what, struct err *err); /* -1 with the text of the last error */

/* A job's id is 16 bytes in the file, and text elsewhere; what is none is NULL there and "" here. */
void view_bind_job(sqlite3_stmt *statement, int index, const char *job_id);
const char *view_job_text(sqlite3_stmt *statement, int column, char out[UUID_TEXT]); /* returns out */

/* Binds by position, all of the rest NULL; text and blobs must live until the step. */
void view_bind_text(sqlite3_stmt *statement, int index, const char *text); /* NULL: NULL */
void view_bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t len);
int view_step_done(sqlite3 *db, sqlite3_stmt *statement, struct err *err); /* one that returns no row; resets */
const char *view_text(sqlite3_stmt *statement, int column);                /* "" for NULL */
