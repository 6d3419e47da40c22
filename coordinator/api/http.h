#pragma once
/* libmicrohttpd's side of the API: requests are put together, limited, dispatched, answered. Only http.c and api.c include it. */
#include "coordinator/api/internal.h"

#include <microhttpd.h>

struct api {
    struct api_context context;
    struct MHD_Daemon *daemon;
    pthread_key_t reader_key; /* struct view_reader of each HTTP thread */
    bool has_key;
    struct view_reader *asking; /* of api_ask */
    int port;
};

enum MHD_Result http_access(void *api, struct MHD_Connection *connection, const char *url, const char *method,
                            const char *version, const char *data, size_t *data_size, void **exchange);
void *http_begin(void *api, const char *uri, struct MHD_Connection *connection);
void http_completed(void *api, struct MHD_Connection *connection, void **exchange, enum MHD_RequestTerminationCode code);
