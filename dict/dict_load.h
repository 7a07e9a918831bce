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

/** Parse @p text (@p n octets) and check it against the schema. @p name: for log lines.
 *  @param[out] out gives (json_decref). @return 0, EINVAL (not JSON, or not the schema), ENOMEM */
int rx_dict_parse(const char *text, size_t n, const char *name, json_t **out);

/** Define in @p d what @p doc has and @p d lacks. @p doc must have passed rx_dict_parse().
 *  Rules of a command or grouped AVP that was already defined are left alone: they are shared with
 *  other applications, and a stricter rule would make those applications' messages illegal.
 *  @return 0, EEXIST (an AVP or command exists with another code or type), ENOENT (a rule names an
 *          unknown AVP), EINVAL, ENOMEM */
int rx_dict_apply(struct dictionary *d, const json_t *doc);

/** Remove the rules that RFC 6733 and RFC 4005 put on the shared command codes and that Rx messages
 *  do not obey: Auth-Request-Type in AAR and AAA, Result-Code in AAA, RAA, STA and ASA (an answer with
 *  Experimental-Result alone would be dropped unseen), Re-Auth-Request-Type in RAR.
 *  Spec: TS 29.214 5.6. @return 0, or the error of the dictionary */
int rx_dict_relax(struct dictionary *d);

#endif
