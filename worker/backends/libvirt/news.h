#pragma once
/*
 * Waiting for what libvirt says of one domain. Events come to watch.c, on libvirt's event thread; a step that waits for the end of a job listens here and is woken at once
 * instead of asking again and again. Events can be lost (a daemon that restarts), so whoever waits also looks by itself now and then. Any thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct news_listener {
    const char *uuid; /* the caller's, until news_end() */
    bool told;
    struct news_listener *next;
};

/* From now on nothing is missed. The listener is the caller's and must not move until news_end(). */
void news_listen(struct news_listener *listener, const char *uuid);
/* True: something was said of the domain since the last news_wait() (or news_listen()). False: `ms` have passed without. */
bool news_wait(struct news_listener *listener, int64_t ms);
void news_end(struct news_listener *listener); /* also of one that never listened: {0} */

/* For watch.c. */
void news_tell(const char *uuid); /* NULL: of every domain */
void news_flow(bool flows);       /* whether events arrive at all */
bool news_flowing(void);          /* how often to look by oneself depends on it */
