#pragma once
/* The view read from end to end, as records and without JSON: for planning. Each function is one snapshot of the view; the records are lent for the call. */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct inventory_host;
struct inventory_target;
struct restore_point;
struct strings;
struct view_reader;

typedef int view_host_visitor(void *context, const struct inventory_host *host, bool alive, struct err *err);
typedef int view_target_visitor(void *context, const struct inventory_target *target, struct err *err);
typedef int view_point_visitor(void *context, const struct restore_point *point, struct err *err);

/* -1 as soon as the visitor says so. */
int view_each_host(struct view_reader *reader, view_host_visitor *visit, void *context, struct err *err);
int view_each_target(struct view_reader *reader, view_target_visitor *visit, void *context, struct err *err);
/* Restore points that are not deleted, those of one target together, oldest first. kind NULL, target NULL: all. */
int view_each_point(struct view_reader *reader, const char *kind, const char *target, view_point_visitor *visit,
                    void *context, struct err *err);
/* Those whose time is over, likewise; the first ones. */
int view_each_expired_point(struct view_reader *reader, int64_t now_ms, view_point_visitor *visit, void *context,
                            struct err *err);
/* Jobs that wait for a person. */
int view_parked_jobs(struct view_reader *reader, struct strings *out, struct err *err);
