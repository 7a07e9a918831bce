/* The schema table as Markdown. */
#include "config/config_priv.h"

#include <string.h>

static void put_names(FILE *out, const struct cfg_key *k)
{
    for (size_t i = 0; k->names && k->names[i]; i++)
        fprintf(out, "%s`%s`", i ? ", " : "", k->names[i]);
}

static const char *type_text(enum cfg_type t)
{
    switch (t) {
    case CFG_BOOL:
        return "`true`, `false`";
    case CFG_PORT:
        return "port";
    case CFG_STRING:
        return "text";
    case CFG_TOKEN:
        return "SIP token";
    case CFG_HOST:
        return "domain name or address";
    case CFG_IP:
        return "address";
    case CFG_ORIGIN:
        return "origin";
    case CFG_HTTPS_ORIGIN:
        return "https origin";
    case CFG_HTTPS_URI:
        return "https URI";
    case CFG_HTTP_URL:
        return "https URL";
    case CFG_WSS_URL:
        return "wss URL";
    case CFG_SIP_URI:
        return "SIP URI";
    case CFG_H248_LISTEN:
        return "transport:address:port";
    case CFG_PLMN:
        return "PLMN";
    case CFG_PATH:
        return "URL path";
    case CFG_FILE_READ:
    case CFG_FILE_MADE:
    case CFG_FILE_WRITE:
    case CFG_SOCKET:
        return "file";
    case CFG_DIR:
        return "folder";
    case CFG_ADDR:
        return "address:port";
    case CFG_ADDRS:
        return "list of address:port";
    case CFG_MAPS:
        return "list of maps, below";
    default:
        return "";
    }
}

static void put_type(FILE *out, const struct cfg_key *k)
{
    if (k->type == CFG_U32)
        fprintf(out, "%u to %u%s%s", (unsigned)k->min, (unsigned)k->max, k->unit ? " " : "",
                k->unit ? k->unit : "");
    else if (k->type == CFG_ENUM || k->type == CFG_CHOICE)
        put_names(out, k);
    else if (k->type == CFG_MODES || (k->type == CFG_LIST && k->elem == CFG_CHOICE)) {
        fputs("list of ", out);
        put_names(out, k);
    } else if (k->type == CFG_LIST)
        fprintf(out, "list of %s", type_text(k->elem));
    else
        fputs(type_text(k->type), out);
}

static void put_default(FILE *out, const struct cfg_key *k)
{
    bool list = k->type == CFG_LIST || k->type == CFG_ADDRS || k->type == CFG_MODES;
    if (k->need != CFG_NEED_NOT)
        fprintf(out, "obligatory%s%s", k->need == CFG_NEED_ALWAYS ? "" : " ",
                k->need == CFG_NEED_ALWAYS ? "" : cfg_need_text(k->need));
    else if (k->def_note)
        fputs(k->def_note, out);
    else if (k->def && list) {
        fputs("`[", out);
        for (const char *p = k->def; *p; p++)
            fputs(*p == ' ' ? ", " : (char[2]){*p, 0}, out);
        fputs("]`", out);
    } else
        fprintf(out, "`%s`", k->def && *k->def ? k->def : "\"\"");
}

static void put_row(FILE *out, const char *name, const struct cfg_key *k)
{
    fprintf(out, "| `%s` | ", name);
    put_type(out, k);
    fputs(" | ", out);
    put_default(out, k);
    fprintf(out, " | %s |\n", k->help);
}

static void put_head(FILE *out, const char *title)
{
    fprintf(out, "\n## %s\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n", title);
}

static void put_item_tables(FILE *out, const char *section, size_t n)
{
    for (size_t i = 0; i < cfg_main_table.n_keys; i++) {
        const struct cfg_key *k = &cfg_main_table.keys[i];
        if (k->type != CFG_MAPS || strncmp(k->path, section, n) != 0 || k->path[n] != '.')
            continue;
        char title[80];
        snprintf(title, sizeof title, "%s, each", k->path);
        put_head(out, title);
        for (size_t j = 0; j < k->items->n_keys; j++)
            put_row(out, k->items->keys[j].path, &k->items->keys[j]);
    }
}

void epc_config_reference(FILE *out)
{
    const char *section = "";
    size_t n = 0;
    fputs("# Configuration of epcscf\n\n"
          "A YAML file. Keys are written `section.key` here; in the file the key stands indented below its\n"
          "section. Relative paths of files start at the configuration file's folder. `epcscf --config FILE\n"
          "--check` tells every fault with its line.\n",
          out);
    for (size_t i = 0; i < cfg_main_table.n_keys; i++) {
        const struct cfg_key *k = &cfg_main_table.keys[i];
        size_t len = strcspn(k->path, ".");
        const char *next = k->path[len] ? k->path : "";
        len = *next ? len : 0;
        if (i == 0 || len != n || strncmp(section, next, len) != 0) {
            char title[64];
            if (n)
                put_item_tables(out, section, n);
            section = next;
            n = len;
            snprintf(title, sizeof title, "%.*s", n ? (int)n : 10, n ? section : "(no section)");
            put_head(out, n ? title : "(no section)");
        }
        put_row(out, k->path, k);
    }
    put_item_tables(out, section, n);
}
