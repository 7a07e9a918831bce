/* A copy of the policy settings that lives as long as freeDiameter: configuration snapshots come and go,
 * the extension and its Rx sessions stay. */
#include "diameter_priv.h"

#include <stdlib.h>
#include <string.h>

/* Each of these replaces a borrowed pointer by an owned copy; *ok turns false when memory runs out, and
 * the copy is then NULL, so that what was made can still be freed. */

static void own_text(char **p, bool *ok)
{
    const char *from = *p;
    *p = from ? strdup(from) : NULL;
    *ok = *ok && (*p || !from);
}

static void *own_array(const void *from, size_t *n, size_t size, bool *ok)
{
    void *to = *n ? calloc(*n, size) : NULL;
    if (to)
        memcpy(to, from, *n * size);
    else {
        *ok = *ok && *n == 0;
        *n = 0;
    }
    return to;
}

static void own_texts(char ***list, size_t *n, bool *ok)
{
    *list = own_array(*list, n, sizeof **list, ok);
    for (size_t i = 0; i < *n; i++)
        own_text(&(*list)[i], ok);
}

static void free_texts(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void epc_settings_free(struct epc_cfg_policy *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_profiles; i++) {
        free(c->profiles[i].name);
        free_texts(c->profiles[i].omit, c->profiles[i].n_omit);
    }
    for (size_t i = 0; i < c->n_access; i++) {
        free(c->access[i].network);
        free(c->access[i].ip_domain_id);
        free(c->access[i].called_station_id);
    }
    for (size_t i = 0; i < c->n_peers; i++) {
        free(c->peers[i].host);
        free(c->peers[i].realm);
        free(c->peers[i].profile);
    }
    for (size_t i = 0; i < c->n_codec_bw; i++)
        free(c->codec_bw[i].codec);
    free(c->codec_bw);
    free(c->profiles);
    free(c->access);
    free(c->peers);
    free_texts(c->turn_servers, c->n_turn_servers);
    free(c->diameter_config);
    free(c->destination_realm);
    free(c->destination_host);
    free(c->af_application_id);
    free(c->profile);
    free(c->journal_file);
    free(c->record_file);
    free(c);
}

static void own_tables(struct epc_cfg_policy *c, bool *ok)
{
    c->profiles = own_array(c->profiles, &c->n_profiles, sizeof *c->profiles, ok);
    for (size_t i = 0; i < c->n_profiles; i++) {
        own_text(&c->profiles[i].name, ok);
        own_texts(&c->profiles[i].omit, &c->profiles[i].n_omit, ok);
    }
    c->access = own_array(c->access, &c->n_access, sizeof *c->access, ok);
    for (size_t i = 0; i < c->n_access; i++) {
        own_text(&c->access[i].network, ok);
        own_text(&c->access[i].ip_domain_id, ok);
        own_text(&c->access[i].called_station_id, ok);
    }
    c->peers = own_array(c->peers, &c->n_peers, sizeof *c->peers, ok);
    for (size_t i = 0; i < c->n_peers; i++) {
        own_text(&c->peers[i].host, ok);
        own_text(&c->peers[i].realm, ok);
        own_text(&c->peers[i].profile, ok);
    }
    c->codec_bw = own_array(c->codec_bw, &c->n_codec_bw, sizeof *c->codec_bw, ok);
    for (size_t i = 0; i < c->n_codec_bw; i++)
        own_text(&c->codec_bw[i].codec, ok);
    own_texts(&c->turn_servers, &c->n_turn_servers, ok);
}

struct epc_cfg_policy *epc_settings_copy(const struct epc_cfg_policy *from)
{
    struct epc_cfg_policy *c = malloc(sizeof *c);
    bool ok = true;
    if (!c)
        return NULL;
    *c = *from;
    own_tables(c, &ok);
    own_text(&c->diameter_config, &ok);
    own_text(&c->destination_realm, &ok);
    own_text(&c->destination_host, &ok);
    own_text(&c->af_application_id, &ok);
    own_text(&c->profile, &ok);
    own_text(&c->journal_file, &ok);
    own_text(&c->record_file, &ok);
    if (!ok) {
        epc_settings_free(c);
        return NULL;
    }
    return c;
}
