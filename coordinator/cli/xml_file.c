#include "coordinator/cli/xml_file.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <libxml/parser.h>
#include <string.h>

static void context_freep(xmlParserCtxtPtr *context)
{
    xmlFreeParserCtxt(*context);
}

static int not_read(const char *name, xmlParserCtxtPtr context, struct err *err)
{
    const xmlError *error = context ? xmlCtxtGetLastError(context) : NULL;
    const char *why = error && error->message ? error->message : "it cannot be read";

    return err_set(err, ERR_PERMANENT, "%s:%d: not XML: %.*s", name, error ? error->line : 1, (int)strcspn(why, "\n"),
                   why);
}

int xml_file_parse(const char *text, const char *name, xmlDocPtr *out, struct err *err)
{
    CLEANUP(context_freep) xmlParserCtxtPtr context = xmlNewParserCtxt();
    CLEANUP(xml_file_freep) xmlDocPtr doc = NULL;

    if (context)
        doc = xmlCtxtReadMemory(context, text, (int)strlen(text), NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc)
        return not_read(name, context, err);
    if (doc->intSubset)
        return err_set(err, ERR_PERMANENT, "%s: a document type definition is not taken", name);
    *out = TAKE_PTR(doc);
    return 0;
}

/* In document order: the first is named. */
static const xmlNode *next_element(const xmlNode *node)
{
    if (node->children)
        return node->children;
    while (node && !node->next)
        node = node->parent;
    return node ? node->next : NULL;
}

int domain_xml_check(const char *text, const char *name, struct err *err)
{
    CLEANUP(xml_file_freep) xmlDocPtr doc = NULL;

    if (xml_file_parse(text, name, &doc, err) < 0)
        return -1;
    const xmlNode *root = xmlDocGetRootElement(doc);
    if (strcmp((const char *)root->name, "domain") != 0)
        return err_set(err, ERR_PERMANENT, "%s:%ld: <%s>: <domain> was expected", name, xmlGetLineNo(root),
                       (const char *)root->name);
    for (const xmlNode *node = root; node; node = next_element(node))
        for (const xmlAttr *each = node->type == XML_ELEMENT_NODE ? node->properties : NULL; each; each = each->next) {
            const char *attribute = (const char *)each->name;
            if (strcmp(attribute, "passwd") == 0 || strcmp(attribute, "password") == 0)
                return err_set(err, ERR_PERMANENT, "%s:%ld: <%s>: %s is a secret, which does not travel: leave it out",
                               name, xmlGetLineNo(node), (const char *)node->name, attribute);
        }
    return 0;
}
