/* The schema of the dictionary files, for every reader of them: README.md has it in words. */
#ifndef RX_DICT_SCHEMA_H
#define RX_DICT_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

/** Takes one fault, in words, without line end. */
typedef void rx_dict_say_fn(void *arg, const char *fault);

/** Whether @p doc is a dictionary. @p say hears the first fault of each object, as
 *  "AVPs 'Media-Type': member "Codes" is not part of the schema". Any thread. */
bool rx_dict_schema(const json_t *doc, rx_dict_say_fn *say, void *arg);

#endif
