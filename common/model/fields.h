#pragma once
/* Rows of record tables, one macro per kind of member. Used by the .c files of this folder only. TIME takes the name without "_ms". */
#include "model/record.h"

#define OPTIONAL .optional = true
#define ROW(kind, type_, member, label, ...)                                                 \
    {                                                                                        \
        .name = label, .type = kind, .offset = offsetof(struct type_, member), ##__VA_ARGS__ \
    }

#define STRING(type_, member, ...)          ROW(FIELD_STRING, type_, member, #member, ##__VA_ARGS__)
#define BOOL(type_, member, ...)            ROW(FIELD_BOOL, type_, member, #member, ##__VA_ARGS__)
#define INT(type_, member, ...)             ROW(FIELD_INT, type_, member, #member, ##__VA_ARGS__)
#define TIME(type_, member, ...)            ROW(FIELD_TIME, type_, member##_ms, #member, ##__VA_ARGS__)
#define BYTES(type_, member, ...)           ROW(FIELD_BYTES, type_, member, #member, ##__VA_ARGS__)
#define STRINGS(type_, member, ...)         ROW(FIELD_STRINGS, type_, member, #member, ##__VA_ARGS__)
#define MAP(type_, member, ...)             ROW(FIELD_MAP, type_, member, #member, ##__VA_ARGS__)
#define PARAMS(type_, member, ...)          ROW(FIELD_PARAMS, type_, member, #member, ##__VA_ARGS__)
#define ENUM(type_, member, names_, ...)    ROW(FIELD_ENUM, type_, member, #member, .names = names_, ##__VA_ARGS__)
#define RECORD(type_, member, record_, ...) ROW(FIELD_RECORD, type_, member, #member, .record = &record_, ##__VA_ARGS__)
#define EMBEDDED(type_, member, record_, ...) \
    ROW(FIELD_EMBEDDED, type_, member, #member, .record = &record_, ##__VA_ARGS__)
#define RECORDS(type_, member, record_, ...) \
    ROW(FIELD_RECORDS, type_, member, #member, .record = &record_, ##__VA_ARGS__)
