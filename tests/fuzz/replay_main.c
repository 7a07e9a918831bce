/* Runs a fuzz target's entry point over every file named, or found in a folder named, on the
 * command line. Lets the saved corpora be replayed with any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    /* An exact-size heap block lets AddressSanitizer see a read past the end. */
    uint8_t *data = NULL;
    size_t size = 0;
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && st.st_size >= 0) {
        data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
        if (data)
            size = fread(data, 1, (size_t)st.st_size, f);
    }
    fclose(f);
    if (!data)
        return -1;
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned runs = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            return 1;
        }
        if (!S_ISDIR(st.st_mode)) {
            if (run_file(argv[i]) != 0)
                return 1;
            runs++;
            continue;
        }
        DIR *d = opendir(argv[i]);
        if (!d) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(d));) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            if (snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name) >= (int)sizeof path)
                continue;
            if (run_file(path) != 0)
                return 1;
            runs++;
        }
        closedir(d);
    }
    if (runs == 0) {
        fprintf(stderr, "no corpus file found: name a folder that holds at least one\n");
        return 1;
    }
    printf("%u inputs replayed\n", runs);
    return 0;
}
