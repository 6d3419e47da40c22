#pragma once
/* Asks the HTTP API for pages of every list, as a person who turns them, and prints how long each took. Errors end the program: it is a bench. */

struct fleet_size;

void fleet_ask_pages(int port, const char *token_file, const struct fleet_size *size);
