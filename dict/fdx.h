/* What freeDiameter looks up in an extension. Its own headers do not declare these, and an extension's
 * other symbols stay hidden: extensions are loaded into one name space (RTLD_GLOBAL). */
#ifndef RX_FDX_H
#define RX_FDX_H

#define FDX_EXPORT __attribute__((visibility("default")))

FDX_EXPORT int fd_ext_init(int major, int minor, char *conffile);
FDX_EXPORT void fd_ext_fini(void);
FDX_EXPORT extern const char *fd_ext_depends[];

#endif
