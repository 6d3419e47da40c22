/* docs/openapi.yaml and the table of routes say the same: method, path, role, summary. */
#include "base/err.h"
#include "coordinator/api/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yaml.h>

static yaml_document_t document;

static int load_document(void **state)
{
    FILE *file = fopen(SOURCE_DIR "/docs/openapi.yaml", "r");
    yaml_parser_t parser;

    (void)state;
    if (!file || !yaml_parser_initialize(&parser))
        return -1;
    yaml_parser_set_input_file(&parser, file);
    int good = yaml_parser_load(&parser, &document);
    if (!good)
        fprintf(stderr, "openapi.yaml:%zu: %s\n", parser.problem_mark.line + 1, parser.problem);
    yaml_parser_delete(&parser);
    fclose(file);
    return good ? 0 : -1;
}

static int free_document(void **state)
{
    (void)state;
    yaml_document_delete(&document);
    return 0;
}

static const char *scalar(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static yaml_node_t *member(yaml_node_t *node, const char *name)
{
    if (!node || node->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++)
        if (strcmp(scalar(yaml_document_get_node(&document, pair->key)), name) == 0)
            return yaml_document_get_node(&document, pair->value);
    return NULL;
}

static yaml_node_t *operation(const struct api_route *route)
{
    char method[16];
    size_t i = 0;

    for (; route->method[i]; i++)
        method[i] = (char)(route->method[i] | 0x20);
    method[i] = '\0';
    return member(member(member(yaml_document_get_root_node(&document), "paths"), route->pattern), method);
}

static void every_route_is_documented(void **state)
{
    static const char *const roles[] = {"public", "viewer", "operator", "admin"};

    (void)state;
    for (const struct api_route *route = api_routes; route->method; route++) {
        yaml_node_t *found = operation(route);
        if (!found)
            fail_msg("%s %s is not in openapi.yaml", route->method, route->pattern);
        assert_string_equal(scalar(member(found, "summary")), route->doc);
        assert_string_equal(scalar(member(found, "x-role")), roles[route->role]);
        assert_non_null(member(found, "responses"));
        assert_non_null(member(found, "operationId"));
    }
}

static void everything_documented_is_a_route(void **state)
{
    yaml_node_t *paths = member(yaml_document_get_root_node(&document), "paths");
    size_t documented = 0, routes = 0;

    (void)state;
    assert_non_null(paths);
    for (yaml_node_pair_t *path = paths->data.mapping.pairs.start; path < paths->data.mapping.pairs.top; path++) {
        yaml_node_t *item = yaml_document_get_node(&document, path->value);
        for (yaml_node_pair_t *method = item->data.mapping.pairs.start; method < item->data.mapping.pairs.top; method++)
            documented += strcmp(scalar(yaml_document_get_node(&document, method->key)), "parameters") != 0;
    }
    for (const struct api_route *route = api_routes; route->method; route++)
        routes++;
    assert_int_equal(documented, routes);
}

static bool matches(const char *pattern, const char *path, char *arguments[ARGUMENTS_MAX])
{
    struct api_route route = {.method = "GET", .pattern = pattern};

    return api_route_match(&route, path, arguments);
}

static void free_all(char *arguments[ARGUMENTS_MAX])
{
    for (size_t i = 0; i < ARGUMENTS_MAX; i++)
        free(arguments[i]);
}

static void paths_match_segment_by_segment(void **state)
{
    char *arguments[ARGUMENTS_MAX];

    (void)state;
    assert_true(matches("/v1/hosts", "/v1/hosts", arguments));
    assert_false(matches("/v1/hosts", "/v1/hosts/", arguments));
    assert_false(matches("/v1/hosts", "/v1/hostsx", arguments));
    assert_false(matches("/v1/hosts/{host}", "/v1/hosts/", arguments));
    assert_false(matches("/v1/hosts/{host}", "/v1/hosts/a/b", arguments));
    assert_true(matches("/v1/dlq/{partition}/{offset}", "/v1/dlq/0/17", arguments));
    assert_string_equal(arguments[0], "0");
    assert_string_equal(arguments[1], "17");
    free_all(arguments);
}

static void segments_are_percent_decoded_and_hide_nothing(void **state)
{
    char *arguments[ARGUMENTS_MAX];

    (void)state;
    assert_true(matches("/v1/targets/{target}", "/v1/targets/alpha%2Fshop%2d1", arguments));
    assert_string_equal(arguments[0], "alpha/shop-1");
    free_all(arguments);
    assert_false(matches("/v1/targets/{target}", "/v1/targets/a%00b", arguments));
    assert_false(matches("/v1/targets/{target}", "/v1/targets/a%2", arguments));
    assert_false(matches("/v1/targets/{target}", "/v1/targets/a%zz", arguments));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_documented),
        cmocka_unit_test(everything_documented_is_a_route),
        cmocka_unit_test(paths_match_segment_by_segment),
        cmocka_unit_test(segments_are_percent_decoded_and_hide_nothing),
    };
    return cmocka_run_group_tests(tests, load_document, free_document);
}
