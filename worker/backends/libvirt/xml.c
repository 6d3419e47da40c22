/* XML by libxml2: what comes from outside has a size limit, no entities and no network; what goes out is escaped by the library. */
#include "worker/backends/libvirt/libvirt.h"

#include <libxml/parser.h>
#include <libxml/xpathInternals.h>
#include <string.h>

enum { XML_MAX_BYTES = 4 << 20 };

int xml_parse(const char *text, const char *what, xmlDocPtr *out, struct err *err)
{
    const xmlError *error;
    size_t len = strlen(text);
    xmlDocPtr doc;

    if (len > XML_MAX_BYTES)
        return err_set(err, ERR_PERMANENT, "%s: XML of %zu bytes is over the limit of %d", what, len, XML_MAX_BYTES);
    doc = xmlReadMemory(text, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc && !doc->intSubset && xmlDocGetRootElement(doc)) {
        *out = doc;
        return 0;
    }
    if (doc) {
        xmlFreeDoc(doc);
        return err_set(err, ERR_PERMANENT, "%s: XML with a document type is refused", what);
    }
    error = xmlGetLastError();
    const char *why = error && error->message ? error->message : "unknown"; /* with the end of its line */
    return err_set(err, ERR_PERMANENT, "%s: not well-formed XML, line %d: %.*s", what, error ? error->line : 0,
                   (int)strcspn(why, "\n"), why);
}

int xml_format(xmlDocPtr doc, char **out, struct err *err)
{
    CLEANUP(xml_string_freep) xmlChar *text = NULL;
    int len = 0;

    xmlDocDumpFormatMemoryEnc(doc, &text, &len, "UTF-8", 1);
    if (!text || !(*out = strdup((char *)text)))
        return err_memory(err, "xml");
    return 0;
}

int xml_format_node(xmlNodePtr node, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNodePtr copy = doc ? xmlDocCopyNode(node, doc, 1) : NULL;

    if (!copy)
        return err_memory(err, "xml");
    xmlDocSetRootElement(doc, copy);
    return xml_format(doc, out, err);
}

xmlDocPtr xml_new(const char *root)
{
    xmlDocPtr doc = xmlNewDoc(BAD_CAST "1.0");

    if (doc)
        xmlDocSetRootElement(doc, xmlNewDocNode(doc, NULL, BAD_CAST root, NULL));
    return doc;
}

xmlXPathObjectPtr xml_all(xmlNodePtr node, const char *xpath)
{
    xmlXPathContextPtr context = xmlXPathNewContext(node->doc);
    xmlXPathObjectPtr found = NULL;

    if (!context)
        return NULL;
    xmlXPathRegisterNs(context, BAD_CAST "fleetsnap", BAD_CAST "https://fleetsnap.dev/xmlns/labels/1");
    if (xmlXPathSetContextNode(node, context) == 0)
        found = xmlXPathEvalExpression(BAD_CAST xpath, context);
    xmlXPathFreeContext(context);
    return found;
}

xmlNodePtr xml_find(xmlNodePtr node, const char *xpath)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(node, xpath);

    return found && found->nodesetval && found->nodesetval->nodeNr > 0 ? found->nodesetval->nodeTab[0] : NULL;
}

char *xml_get_at(xmlNodePtr node, const char *xpath)
{
    xmlNodePtr found = xml_find(node, xpath);
    CLEANUP(xml_string_freep) xmlChar *content = found ? xmlNodeGetContent(found) : NULL;

    return content ? strdup((char *)content) : NULL;
}

char *xml_get(xmlDocPtr doc, const char *xpath)
{
    return xml_get_at(xmlDocGetRootElement(doc), xpath);
}

xmlNodePtr xml_child(xmlNodePtr parent, const char *name, const char *content)
{
    return xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST content);
}

void xml_attr(xmlNodePtr node, const char *name, const char *value)
{
    xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}

void xml_remove_all(xmlNodePtr node, const char *xpath)
{
    xmlNodePtr found;

    while ((found = xml_find(node, xpath))) {
        if (found->type == XML_ATTRIBUTE_NODE) {
            xmlRemoveProp((xmlAttrPtr)found);
            continue;
        }
        xmlUnlinkNode(found);
        xmlFreeNode(found);
    }
}
