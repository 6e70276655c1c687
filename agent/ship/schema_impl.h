/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_impl.h - what the files of the schemas share; see schema.h
 */
#ifndef EG_SHIP_SCHEMA_IMPL_H
#define EG_SHIP_SCHEMA_IMPL_H

#include "schema.h"
#include "schema_form.h"

#define EG_ECS_VERSION	"9.4.0"
#define EG_OCSF_VERSION "1.8.0"

/* Both fill in a form that was begun. */
void eg_schema_ecs(struct eg_form *form);
void eg_schema_ocsf(struct eg_form *form);

/* The end of the flow that is on this host, and the other one: "source", "destination" as ECS says it. */
static inline const char *eg_schema_far_end(const struct eg_form *form, const char *source, const char *destination)
{
	return form->ingress ? source : destination;
}

enum eg_severity eg_schema_severity_of(const struct eg_form *form);
/* What the event says of it: refused; let through all the same; or neither. */
bool eg_schema_refused(const struct eg_form *form);
bool eg_schema_audited(const struct eg_form *form);
/* A cap's event says percent: from 100 on, what comes is refused. */
bool eg_schema_cap_full(const struct eg_form *form);
/* A user id is a text in both schemas. "": none. */
void eg_schema_uid(const struct eg_form *form, char *ret, size_t size);

/* schema_ecs_class.c: event.kind, category, type, action, outcome, severity. */
void eg_ecs_classify(struct eg_form *form);

/* schema_ocsf_class.c: class, type, activity, disposition, and what follows from them. */
struct eg_ocsf_class;
const struct eg_ocsf_class *eg_ocsf_classify(struct eg_form *form);
unsigned eg_ocsf_class_uid(const struct eg_ocsf_class *class);

#endif
