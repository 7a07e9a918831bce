/* Between the files of the message part of avp/. */
#ifndef EPC_AVP_MSG_PRIV_H
#define EPC_AVP_MSG_PRIV_H

#include "avp/avp.h"

/* msg.c: memory that ends with the message. NULL: none left. */
void *epc_msg_alloc(struct epc_msg *m, size_t n);
struct epc_msg *epc_msg_new(void);
/** One more AVP at *tail, which moves on. EPC_ELIMIT, EPC_ENOMEM */
enum epc_err epc_msg_add(struct epc_msg *m, struct epc_avp ***tail, struct epc_avp **out) EPC_MUST_CHECK;
void epc_why(struct epc_buf *why, const char *fmt, ...) EPC_PRINTF(2, 3);
static inline uint32_t epc_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint32_t epc_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

/* msg_value.c */
enum epc_value_form { EPC_VALUE_NUMBER, EPC_VALUE_TEXT, EPC_VALUE_OCTETS };
/** The value as text whose form the type decides; reading it gives the same octets. */
enum epc_value_form epc_value_format(const struct epc_avp *a, struct epc_buf *out);
/** Text ("0x..." for octets of any type) to octets. EPC_EPROTO: it is none of that type. */
enum epc_err epc_value_parse(const struct epc_dict_avp *dict, struct epc_str text, struct epc_buf *out) EPC_MUST_CHECK;
enum epc_err epc_value_integer(const struct epc_dict_avp *dict, int64_t v, struct epc_buf *out) EPC_MUST_CHECK;
enum epc_err epc_value_real(const struct epc_dict_avp *dict, double v, struct epc_buf *out) EPC_MUST_CHECK;
bool epc_is_text(const uint8_t *p, size_t n); /**< UTF-8 without control characters but line ends and tabs */
/** Octets that a type has always; 0: any number. */
size_t epc_type_octets(enum epc_avp_type t);

/** Flags that an AVP has unless it says otherwise. */
uint8_t epc_avp_usual_flags(const struct epc_dict_avp *dict, uint32_t vendor);

/* pcap.c */
struct epc_pcap_sink {
    /** One whole Diameter message. false: stop. */
    bool (*message)(void *arg, uint64_t t_us, const char *from, const char *to, const uint8_t *p, size_t n);
    void *arg;
};
bool epc_is_pcap(struct epc_str content);
enum epc_err epc_pcap_read(struct epc_str content, const struct epc_pcap_sink *sink, struct epc_buf *why) EPC_MUST_CHECK;

#endif
