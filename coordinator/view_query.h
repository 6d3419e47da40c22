#pragma once
/* Small questions to the view by the coordinator's own threads; no JSON. One thread per handle. */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct view_query;

struct view_job_brief {
    bool found;
    int state;
    bool heard; /* a worker has spoken of it */
    int64_t token;
    char journal[64];
};

int view_query_open(const char *path, struct view_query **out, struct err *err);
void view_query_close(struct view_query *query);
void view_query_closep(struct view_query **query);
int view_query_job(struct view_query *query, const char *job_id, struct view_job_brief *out, struct err *err);
bool view_query_is_writer(struct view_query *query, const char *job_id); /* a restore point names it as its last writer */
