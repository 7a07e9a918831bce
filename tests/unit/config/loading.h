/* Loads a text and keeps the faults. */
#ifndef LOADING_H
#define LOADING_H

#include "config/config_priv.h"

struct loading {
    enum epc_err err;
    const struct epc_config *cfg;
    char **faults;
    size_t n_faults;
};
/** @param check_files look into the file system; @p file says where relative paths start */
void loading_text(struct loading *l, const char *file, const char *text, bool check_files);
void loading_file(struct loading *l, const char *file);
void loading_clear(struct loading *l);
/** Is there a fault that begins with "FILE:LINE: KEY: " and holds @p say? */
bool loading_has(const struct loading *l, const char *file, size_t line, const char *key, const char *say);
void loading_print(const struct loading *l);

#endif
