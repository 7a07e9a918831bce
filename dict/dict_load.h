/* Diameter dictionaries as data: reads the JSON schema of freeDiameter's dict_json extension ("Vendors",
 * "Applications", "Types", "AVPs", "Commands", "CommandRules", "AVPRules") into a dictionary.
 *
 * Unlike dict_json it is at home in a dictionary that other extensions have already filled: what is
 * there is checked for agreement and kept.
 *
 * Return values are freeDiameter's own: 0 or an errno code. Every failure is logged through fd_log. */
#ifndef RX_DICT_LOAD_H
#define RX_DICT_LOAD_H

#include <freeDiameter/freeDiameter-host.h>
#include <freeDiameter/libfdproto.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/** Parse @p text (@p n octets) and check it against the schema. @p name: for log lines.
 *  @param[out] out gives (json_decref). @return 0, EINVAL (not JSON, or not the schema), ENOMEM */
int rx_dict_parse(const char *text, size_t n, const char *name, json_t **out);

/** Give a vendor another number, wherever @p doc names it. */
void rx_dict_renumber(json_t *doc, uint32_t from, uint32_t to);

/** Define in @p d the vendors, applications, types, AVPs and commands that @p doc has and @p d lacks.
 *  @p doc must have passed rx_dict_parse().
 *  @return 0, EEXIST (an AVP or command exists with another code or type), EINVAL, ENOMEM */
int rx_dict_define(struct dictionary *d, const json_t *doc);

/** Add the rules of @p doc to the commands and groups that have none; and those that extend others.
 *  Rules that another dictionary has given a command or group are left alone: they are shared with other
 *  applications, and a stricter rule would make those applications' messages illegal.
 *  @return 0, ENOENT (a rule names an unknown AVP or command), EINVAL, ENOMEM */
int rx_dict_rules(struct dictionary *d, const json_t *doc);

/** Remove the rules that RFC 6733 and RFC 4005 put on the shared command codes and that Rx messages
 *  do not obey: Auth-Request-Type in AAR and AAA, Result-Code in AAA, RAA, STA and ASA (an answer with
 *  Experimental-Result alone would be dropped unseen), Re-Auth-Request-Type in RAR.
 *  Spec: TS 29.214 5.6. @return 0, or the error of the dictionary */
int rx_dict_relax(struct dictionary *d);

/** What Rx demands of its commands, whatever the dictionary's rules on the shared command codes say. */
struct rx_check;

/** Compile the "CommandRules" of @p n documents, and which of their AVPs are addresses, after rx_dict_define().
 *  @param[out] out gives (rx_check_free()). @return 0, ENOENT, ENOMEM */
int rx_check_new(struct rx_check **out, struct dictionary *d, json_t *const *doc, size_t n);
void rx_check_free(struct rx_check *c);

/** Whether @p m holds to the rules of its command, and its addresses have the octets of their family. @p m is parsed, and of the Rx application.
 *  @param[out] wrong set when it does not: the name of the result code, and the AVP for Failed-AVP, which
 *              is the caller's (fd_msg_free()) when pei_avp_free is set.
 *  @return 0, EBADMSG, or an error of the library. Any thread. */
int rx_check_message(const struct rx_check *c, struct msg *m, struct fd_pei *wrong);

#endif
