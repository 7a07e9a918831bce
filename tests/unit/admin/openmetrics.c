#include "openmetrics.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAMILIES_MAX = 512, NAME_MAX_OCTETS = 128 };

struct family {
    char name[NAME_MAX_OCTETS];
    bool counter, help, sample;
};

struct reader {
    struct family family[FAMILIES_MAX];
    int n;
};

/* metricname = metricname-initial-char 0*metricname-char; ':' is kept for recording rules. */
static bool is_name(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalpha((unsigned char)s[i]) && s[i] != '_' && !(i > 0 && isdigit((unsigned char)s[i])))
            return false;
    return n > 0;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

static struct family *last(struct reader *r)
{
    return r->n ? &r->family[r->n - 1] : NULL;
}

static const char *family_done(struct reader *r)
{
    struct family *f = last(r);
    return !f || (f->help && f->sample) ? NULL : "a family without HELP or sample";
}

/* A sample's name must not be that of another family's sample either: x_total of counter x. */
static bool taken(const struct reader *r, const char *name, bool counter)
{
    char mine[NAME_MAX_OCTETS + 8], theirs[NAME_MAX_OCTETS + 8];
    snprintf(mine, sizeof mine, "%s%s", name, counter ? "_total" : "");
    for (int i = 0; i < r->n; i++) {
        const struct family *f = &r->family[i];
        snprintf(theirs, sizeof theirs, "%s%s", f->name, f->counter ? "_total" : "");
        if (strcmp(f->name, name) == 0 || strcmp(theirs, mine) == 0)
            return true;
    }
    return false;
}

static const char *read_type(struct reader *r, char *rest)
{
    char *type = strchr(rest, ' ');
    const char *why = family_done(r);
    if (why)
        return why;
    if (!type)
        return "TYPE without a type";
    *type++ = 0;
    if (!is_name(rest) || strlen(rest) >= NAME_MAX_OCTETS)
        return "not a metric name";
    if (strcmp(type, "counter") != 0 && strcmp(type, "gauge") != 0)
        return "unknown type";
    if (ends_with(rest, "_total"))
        return "_total in a family's name";
    bool counter = strcmp(type, "counter") == 0;
    if (taken(r, rest, counter) || r->n == FAMILIES_MAX)
        return "duplicate family, or too many";
    struct family *f = &r->family[r->n++];
    *f = (struct family){.counter = counter};
    strcpy(f->name, rest);
    return NULL;
}

static const char *read_help(struct reader *r, char *rest)
{
    struct family *f = last(r);
    char *text = strchr(rest, ' ');
    if (!text)
        return "HELP without text";
    *text++ = 0;
    if (!f || strcmp(f->name, rest) != 0)
        return "HELP outside its family";
    if (f->help || f->sample)
        return "HELP twice, or after the sample";
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') {
            if (*p == '"' || !strchr("n\"\\", p[1]) || !p[1])
                return "HELP not escaped";
            p++;
        }
    }
    f->help = true;
    return *text ? NULL : "HELP is empty";
}

static const char *read_sample(struct reader *r, char *line)
{
    struct family *f = last(r);
    char *value = strchr(line, ' '), *end, name[NAME_MAX_OCTETS + 8];
    if (!f || !value)
        return "neither a sample nor a comment";
    *value++ = 0;
    snprintf(name, sizeof name, "%s%s", f->name, f->counter ? "_total" : "");
    if (strcmp(name, line) != 0)
        return "sample of another family, or with a wrong suffix";
    if (f->sample)
        return "duplicate sample";
    if (!isdigit((unsigned char)*value) && *value != '-')
        return "no value";
    double v = strtod(value, &end);
    if (*end)
        return "not a number";
    if (f->counter && v < 0)
        return "negative counter";
    f->sample = true;
    return NULL;
}

static const char *read_line(struct reader *r, char *line)
{
    if (strncmp(line, "# TYPE ", 7) == 0)
        return read_type(r, line + 7);
    if (strncmp(line, "# HELP ", 7) == 0)
        return read_help(r, line + 7);
    return read_sample(r, line);
}

int openmetrics_check(char *text, const char **why)
{
    struct reader r = {.n = 0};
    char *line = text, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        if (strcmp(line, "# EOF") == 0) {
            *why = end[1] ? "text after # EOF" : family_done(&r);
            return *why ? -1 : r.n;
        }
        if ((*why = read_line(&r, line)))
            return -1;
    }
    *why = "no # EOF";
    return -1;
}
