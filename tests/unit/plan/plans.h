/* Plans for tests of plan/ and exec/: without any device, or with the description of one that no driver
 * stands behind. */
#ifndef SP_TEST_PLANS_H
#define SP_TEST_PLANS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "plan/builder.h"

typedef struct planned {
    sp_registry *reg;
    sp_graph *g;
    sp_model *m;
    sp_plan *p;
} planned;

static inline sp_plan_options options_of(sp_method method, int64_t time_steps)
{
    return (sp_plan_options){.method = method, .batch = 4, .time_steps = time_steps, .w_ce = 1};
}

/* Everything but the plan. */
static inline planned parts_of(const char *layers, const sp_plan_options *o, const char *force)
{
    planned r = {0};
    sp_error err = {0};
    sp_yaml_doc doc;
    sp_network net;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(sp_yaml_parse("n.yaml", layers, strlen(layers), &doc, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK, "%s",
                 err.text);
    sp_yaml_free(&doc);
    cr_assert_eq(sp_graph_create(&net, "n.yaml", 3, 8, 8, &r.g, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_registry_create(NULL, &r.reg, &err), SP_OK, "%s", err.text);
    if (force)
        cr_assert_eq(sp_registry_force(r.reg, force, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_model_create(r.g, NULL, o, &r.m, &err), SP_OK, "%s", err.text);
    return r;
}

static inline planned plan_on(const char *layers, const sp_plan_options *o, sp_device *dev, const char *force)
{
    sp_error err = {0};
    planned r = parts_of(layers, o, force);
    r.m->dev = dev;
    cr_assert_eq(sp_plan_create(r.g, r.m, r.reg, o, &r.p, &err), SP_OK, "%s", err.text);
    r.m->dev = NULL;
    return r;
}

static inline planned plan_of(const char *layers, const sp_plan_options *o)
{
    return plan_on(layers, o, NULL, NULL);
}

static inline void planned_free(planned *r)
{
    sp_plan_destroy(&r->p);
    sp_model_destroy(&r->m);
    sp_registry_destroy(&r->reg);
    sp_graph_destroy(&r->g);
}

static inline void refused_plan(const char *layers, const sp_plan_options *o, sp_error *err)
{
    planned r = parts_of(layers, o, NULL);
    cr_assert_eq(sp_plan_create(r.g, r.m, r.reg, o, &r.p, err), SP_E_CONFIG);
    planned_free(&r);
}

/* "conv.forward batch_norm.statistics ...": the ops of a segment in order. */
static inline const char *ops_of(const sp_plan *p, int segment)
{
    static char text[8192];
    text[0] = '\0';
    for (int i = 0; i < p->segments[segment].n; i++) {
        char family[64];
        size_t used = strlen(text);
        sp_op_family(p->segments[segment].steps[i].call.op, family, sizeof family);
        snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "", family);
    }
    return text;
}

#define EXPECT_OPS(p, segment, text) cr_assert_str_eq(ops_of(p, segment), text)

static inline const sp_plan_tensor *tensor_of(const sp_plan *p, const char *name)
{
    for (int i = 0; i < p->n_tensors; i++)
        if (strcmp(p->tensors[i].name, name) == 0 && p->tensors[i].used_in)
            return &p->tensors[i];
    cr_assert_fail("the plan has no tensor \"%s\"", name);
    return NULL;
}

#endif
