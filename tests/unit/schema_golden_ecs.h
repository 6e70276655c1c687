/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_golden_ecs.h - every kind of event, and what it is in ECS 9.4
 *
 * Quotes are single for the sake of the eye. What all have in common is in the tests.
 */
#ifndef EG_TEST_SCHEMA_GOLDEN_ECS_H
#define EG_TEST_SCHEMA_GOLDEN_ECS_H

static const struct golden ecs_events[] = {
	{
		"flow start",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','src':'10.0.0.2','src_port':4000,'dst':'198.51.100.7',"
		"'dst_port':443,'phase':'start','flow_id':'1-1-7','rule':'api','name':'api.example',"
		"'verdict':'allow','bytes_out':60,'bytes_in':0,'packets_out':1,'packets_in':0,"
		"'start':'2026-11-25T21:00:00.123456789Z','duration_ms':0}",
		"{'message':'flow-start web 198.51.100.7 api.example','event':{'duration':0,"
		"'start':'2026-11-25T21:00:00.123456789Z','kind':'event','category':['network'],"
		"'type':['connection','start','allowed'],'outcome':'success','action':'flow-start',"
		"'dataset':'egret.flow','severity':6},'related':{'hosts':['box','api.example'],"
		"'user':['1000','hr@example.com'],'ip':['10.0.0.2','198.51.100.7']},'log':{'level':'info'},"
		"'labels':{'team':'hr'},'process':{'user':{'id':'1000'},'pid':100,'name':'curl'},"
		"'user':{'id':'1000'},'rule':{'id':'api','version':'3-ab','ruleset':'web'},"
		"'service':{'name':'web'},'source':{'port':4000,'ip':'10.0.0.2','address':'10.0.0.2',"
		"'bytes':60,'packets':1},'network':{'type':'ipv4','direction':'egress','iana_number':'6',"
		"'transport':'tcp','community_id':'1:q8fwO8J5tScAwrgWbUjnCAgQkiM=','bytes':60,'packets':1},"
		"'destination':{'port':443,'ip':'198.51.100.7','address':'198.51.100.7','bytes':0,"
		"'packets':0,'domain':'api.example'},'egret':{'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','seq':9,'flow_id':'1-1-7','verdict':'allow'}}",
	},
	{
		"flow update",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','src':'10.0.0.2','src_port':4000,'dst':'198.51.100.7',"
		"'dst_port':443,'phase':'update','flow_id':'1-1-7','rule':'api','verdict':'audit',"
		"'reason':'no_rule','bytes_out':1000,'bytes_in':2000,'packets_out':10,'packets_in':20,"
		"'start':'2026-11-25T20:59:59.000000001Z','duration_ms':1123}",
		"{'message':'flow-update web 198.51.100.7: no_rule','event':{'duration':1123000000,"
		"'start':'2026-11-25T20:59:59.000000001Z','kind':'event','category':['network'],"
		"'type':['connection','info','allowed'],'outcome':'success','action':'flow-update',"
		"'dataset':'egret.flow','severity':6,'reason':'no_rule'},'related':{'hosts':['box'],"
		"'user':['1000','hr@example.com'],'ip':['10.0.0.2','198.51.100.7']},'log':{'level':'info'},"
		"'labels':{'team':'hr'},'process':{'user':{'id':'1000'},'pid':100,'name':'curl'},"
		"'user':{'id':'1000'},'rule':{'id':'api','version':'3-ab','ruleset':'web'},"
		"'service':{'name':'web'},'source':{'port':4000,'ip':'10.0.0.2','address':'10.0.0.2',"
		"'bytes':1000,'packets':10},'network':{'type':'ipv4','direction':'egress','iana_number':'6',"
		"'transport':'tcp','community_id':'1:q8fwO8J5tScAwrgWbUjnCAgQkiM=','bytes':3000,"
		"'packets':30},'destination':{'port':443,'ip':'198.51.100.7','address':'198.51.100.7',"
		"'bytes':2000,'packets':20},'egret':{'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','seq':9,'flow_id':'1-1-7','verdict':'audit'}}",
	},
	{
		"flow end",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','src':'10.0.0.2','src_port':4000,'dst':'198.51.100.7',"
		"'dst_port':443,'phase':'end','flow_id':'1-1-7','rule':'api','name':'api.example',"
		"'sni':'api.example','verified':true,'verdict':'allow','bytes_out':1000,'bytes_in':2000,"
		"'packets_out':10,'packets_in':20,'start':'2026-11-25T20:59:59.000000001Z',"
		"'duration_ms':1123,'rtt_us':77,'retransmits':2,'catalog_id':'cat-1','request_id':'req-1',"
		"'log':'full','network':{'name':'dc-eu','region':'eu-1'}}",
		"{'message':'flow-end web 198.51.100.7 api.example','event':{'duration':1123000000,"
		"'start':'2026-11-25T20:59:59.000000001Z','end':'2026-11-25T21:00:00.123456789Z',"
		"'kind':'event','category':['network'],'type':['connection','end','allowed'],"
		"'outcome':'success','action':'flow-end','dataset':'egret.flow','severity':6},"
		"'related':{'hosts':['box','api.example'],'user':['1000','hr@example.com'],'ip':['10.0.0.2',"
		"'198.51.100.7']},'log':{'level':'info'},'labels':{'team':'hr'},"
		"'process':{'user':{'id':'1000'},'pid':100,'name':'curl'},'user':{'id':'1000'},"
		"'rule':{'id':'api','version':'3-ab','ruleset':'web'},'service':{'name':'web','id':'cat-1'},"
		"'source':{'port':4000,'ip':'10.0.0.2','address':'10.0.0.2','bytes':1000,'packets':10},"
		"'network':{'type':'ipv4','direction':'egress','iana_number':'6','transport':'tcp',"
		"'community_id':'1:q8fwO8J5tScAwrgWbUjnCAgQkiM=','bytes':3000,'packets':30,'name':'dc-eu'},"
		"'destination':{'port':443,'ip':'198.51.100.7','address':'198.51.100.7','bytes':2000,"
		"'packets':20,'domain':'api.example','geo':{'name':'eu-1'}},"
		"'tls':{'client':{'server_name':'api.example'}},'egret':{'owner':'hr@example.com',"
		"'ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':9,'flow_id':'1-1-7','verified':true,"
		"'verdict':'allow','rtt_us':77,'retransmits':2,'request_id':'req-1','log':'full',"
		"'network':{'name':'dc-eu','region':'eu-1'}}}",
	},
	{
		"flow end, ingress, IPv6",
		"{'type':'flow','app':'web','direction':'ingress','proto':'udp','src':'fd00::9',"
		"'src_port':5000,'dst':'fd00::2','dst_port':8080,'phase':'end','flow_id':'1-1-8','rule':'gw',"
		"'verdict':'allow','bytes_out':1000,'bytes_in':2000,'packets_out':10,'packets_in':20,"
		"'start':'2026-11-25T20:59:59.000000001Z','duration_ms':1123}",
		"{'message':'flow-end web fd00::2','event':{'duration':1123000000,"
		"'start':'2026-11-25T20:59:59.000000001Z','end':'2026-11-25T21:00:00.123456789Z',"
		"'kind':'event','category':['network'],'type':['connection','end','allowed'],"
		"'outcome':'success','action':'flow-end','dataset':'egret.flow','severity':6},"
		"'related':{'hosts':['box'],'ip':['fd00::9','fd00::2']},'log':{'level':'info'},"
		"'rule':{'id':'gw','ruleset':'web'},'service':{'name':'web'},'source':{'port':5000,"
		"'ip':'fd00::9','address':'fd00::9','bytes':2000,'packets':20},'network':{'type':'ipv6',"
		"'direction':'ingress','iana_number':'17','transport':'udp',"
		"'community_id':'1:zSKkBOGyVPy/usYrxY6f5B3noM8=','bytes':3000,'packets':30},"
		"'destination':{'port':8080,'ip':'fd00::2','address':'fd00::2','bytes':1000,'packets':10},"
		"'egret':{'flow_id':'1-1-8','verdict':'allow'}}",
	},
	{
		"flow roll-up",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','direction':'egress','proto':'tcp',"
		"'dst':'198.51.100.7','dst_port':443,'phase':'rollup','rule':'api','verdict':'allow',"
		"'flows':12,'start':'2026-11-25T20:59:00.000000000Z','end':'2026-11-25T21:00:00.000000000Z',"
		"'bytes_out':1000,'bytes_in':2000,'packets_out':10,'packets_in':20}",
		"{'message':'flow-rollup web 198.51.100.7','event':{'start':'2026-11-25T20:59:00.000000000Z',"
		"'end':'2026-11-25T21:00:00.000000000Z','kind':'event','category':['network'],"
		"'type':['connection','info','allowed'],'outcome':'success','action':'flow-rollup',"
		"'dataset':'egret.flow','severity':6},'related':{'hosts':['box'],'user':['hr@example.com'],"
		"'ip':['198.51.100.7']},'log':{'level':'info'},'labels':{'team':'hr'},'rule':{'id':'api',"
		"'version':'3-ab','ruleset':'web'},'service':{'name':'web'},'destination':{'port':443,"
		"'ip':'198.51.100.7','address':'198.51.100.7','bytes':2000,'packets':20},"
		"'network':{'type':'ipv4','direction':'egress','iana_number':'6','transport':'tcp',"
		"'bytes':3000,'packets':30},'source':{'bytes':1000,'packets':10},"
		"'egret':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'verdict':'allow','flows':12}}",
	},
	{
		"deny at connect",
		"{'type':'deny','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','dst':'203.0.113.5','dst_port':22,'verdict':'deny',"
		"'reason':'no_rule','hook':'connect'}",
		"{'message':'deny web 203.0.113.5: no_rule','event':{'kind':'event','category':['network'],"
		"'type':['connection','denied'],'outcome':'failure','action':'deny','dataset':'egret.deny',"
		"'severity':4,'reason':'no_rule'},'related':{'hosts':['box'],'user':['1000',"
		"'hr@example.com'],'ip':['203.0.113.5']},'error':{'code':'EPERM'},'log':{'level':'warning'},"
		"'labels':{'team':'hr'},'process':{'user':{'id':'1000'},'pid':100,'name':'curl'},"
		"'user':{'id':'1000'},'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'destination':{'port':22,'ip':'203.0.113.5','address':'203.0.113.5'},"
		"'network':{'type':'ipv4','direction':'egress','iana_number':'6','transport':'tcp'},"
		"'egret':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':9,"
		"'verdict':'deny','hook':'connect'}}",
	},
	{
		"deny of a packet, audit, ICMPv6",
		"{'type':'deny','app':'web','seq':10,'direction':'egress','proto':'icmpv6','src':'fd00::2',"
		"'dst':'fd00::9','icmp_type':128,'icmp_code':0,'verdict':'audit','reason':'no_rule',"
		"'hook':'packet','bytes_out':104,'packets_out':1}",
		"{'message':'deny web fd00::9: no_rule','event':{'kind':'event','category':['network'],"
		"'type':['connection','allowed'],'outcome':'success','action':'deny','dataset':'egret.deny',"
		"'severity':5,'reason':'no_rule'},'related':{'hosts':['box'],'ip':['fd00::2','fd00::9']},"
		"'log':{'level':'notice'},'service':{'name':'web'},'source':{'ip':'fd00::2',"
		"'address':'fd00::2','bytes':104,'packets':1},'network':{'type':'ipv6','direction':'egress',"
		"'iana_number':'58','transport':'ipv6-icmp','community_id':'1:ahFZNhUPmLYkOa33iO7PAD8s99A=',"
		"'bytes':104,'packets':1},'destination':{'ip':'fd00::9','address':'fd00::9'},"
		"'egret':{'seq':10,'icmp_type':128,'icmp_code':0,'verdict':'audit','hook':'packet'}}",
	},
	{
		"deny, ingress",
		"{'type':'deny','app':'web','seq':11,'direction':'ingress','proto':'tcp','src':'203.0.113.5',"
		"'src_port':1234,'dst':'10.0.0.2','dst_port':22,'verdict':'deny','reason':'no_ingress_rule',"
		"'hook':'packet','bytes_in':60,'packets_in':1}",
		"{'message':'deny web 10.0.0.2: no_ingress_rule','event':{'kind':'event',"
		"'category':['network'],'type':['connection','denied'],'outcome':'failure','action':'deny',"
		"'dataset':'egret.deny','severity':5,'reason':'no_ingress_rule'},'related':{'hosts':['box'],"
		"'ip':['203.0.113.5','10.0.0.2']},'log':{'level':'notice'},'service':{'name':'web'},"
		"'source':{'port':1234,'ip':'203.0.113.5','address':'203.0.113.5','bytes':60,'packets':1},"
		"'network':{'type':'ipv4','direction':'ingress','iana_number':'6','transport':'tcp',"
		"'community_id':'1:RuRDevNn4170DrKj9cL2X2/PWfw=','bytes':60,'packets':1},"
		"'destination':{'port':22,'ip':'10.0.0.2','address':'10.0.0.2'},'egret':{'seq':11,"
		"'verdict':'deny','hook':'packet'}}",
	},
	{
		"cap at 80 percent",
		"{'type':'cap','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':12,'direction':'egress',"
		"'reason':'cap_egress','percent':80,'limit_bytes':1000000,'used_bytes':800100,"
		"'window_s':3600,'window_end':'2026-11-25T22:00:00.000000000Z'}",
		"{'message':'cap web: cap_egress','event':{'kind':'alert','category':['network'],"
		"'type':['info'],'action':'cap','dataset':'egret.cap','severity':5,'reason':'cap_egress'},"
		"'related':{'hosts':['box'],'user':['hr@example.com']},'log':{'level':'notice'},"
		"'labels':{'team':'hr'},'rule':{'version':'3-ab','ruleset':'web','category':'volume-cap'},"
		"'service':{'name':'web'},'network':{'direction':'egress'},'egret':{'cap':{'percent':80,"
		"'limit_bytes':1000000,'used_bytes':800100,'window_s':3600,"
		"'window_end':'2026-11-25T22:00:00.000000000Z'},'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','seq':12}}",
	},
	{
		"cap used up",
		"{'type':'cap','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':13,'direction':'egress',"
		"'reason':'cap_egress','percent':100,'limit_bytes':1000000,'used_bytes':1000000,"
		"'window_s':3600,'window_end':'2026-11-25T22:00:00.000000000Z'}",
		"{'message':'cap web: cap_egress','event':{'kind':'alert','category':['network'],"
		"'type':['info','denied'],'action':'cap','dataset':'egret.cap','severity':4,"
		"'reason':'cap_egress'},'related':{'hosts':['box'],'user':['hr@example.com']},"
		"'log':{'level':'warning'},'labels':{'team':'hr'},'rule':{'version':'3-ab','ruleset':'web',"
		"'category':'volume-cap'},'service':{'name':'web'},'network':{'direction':'egress'},"
		"'egret':{'cap':{'percent':100,'limit_bytes':1000000,'used_bytes':1000000,'window_s':3600,"
		"'window_end':'2026-11-25T22:00:00.000000000Z'},'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','seq':13}}",
	},
	{
		"rate",
		"{'type':'rate','app':'web','seq':14,'direction':'egress','reason':'rate_egress',"
		"'limit_bits_per_s':10000000}",
		"{'message':'rate web: rate_egress','event':{'kind':'event','category':['network'],"
		"'type':['denied','info'],'action':'rate','dataset':'egret.rate','severity':5,"
		"'reason':'rate_egress'},'related':{'hosts':['box']},'log':{'level':'notice'},"
		"'rule':{'category':'rate-limit'},'service':{'name':'web'},'network':{'direction':'egress'},"
		"'egret':{'rate':{'limit_bits_per_s':10000000},'seq':14}}",
	},
	{
		"kill by a person",
		"{'type':'kill','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','layer':'local',"
		"'actor':'uid=0 pid=12 via=socket','cause':'exfiltration','all':false,'durable':true,"
		"'sockets':3,'flows':2,'stored_us':5,'took_us':800}",
		"{'message':'kill web: exfiltration','event':{'kind':'alert','category':['network'],"
		"'type':['denied','end'],'outcome':'success','action':'kill','dataset':'egret.kill',"
		"'severity':1,'reason':'exfiltration'},'related':{'hosts':['box'],'user':['0',"
		"'hr@example.com']},'log':{'level':'alert'},'labels':{'team':'hr'},'user':{'id':'0'},"
		"'process':{'pid':12},'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'egret':{'revoke':{'flows_killed':2,'sockets':3,'latency_us':800,'stored_us':5,"
		"'durable':true,'layer':'local'},'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','actor':'uid=0 pid=12 via=socket','all':false}}",
	},
	{
		"kill of all",
		"{'type':'kill','layer':'control','actor':'via=etcd','all':true,'durable':true,'sockets':0,"
		"'flows':0,'stored_us':5,'took_us':9}",
		"{'message':'kill','event':{'kind':'alert','category':['network'],'type':['denied','end'],"
		"'outcome':'success','action':'kill','dataset':'egret.kill','severity':1},"
		"'related':{'hosts':['box']},'log':{'level':'alert'},'egret':{'revoke':{'flows_killed':0,"
		"'sockets':0,'latency_us':9,'stored_us':5,'durable':true,'layer':'control'},"
		"'actor':'via=etcd','all':true}}",
	},
	{
		"kill by a cap",
		"{'type':'kill','app':'web','seq':15,'direction':'egress','reason':'cap_egress',"
		"'layer':'auto','percent':100,'limit_bytes':1000,'used_bytes':1000,'window_s':60,"
		"'window_end':'2026-11-25T21:01:00.000000000Z'}",
		"{'message':'kill web: cap_egress','event':{'kind':'alert','category':['network'],"
		"'type':['denied','end'],'outcome':'success','action':'kill','dataset':'egret.kill',"
		"'severity':1,'reason':'cap_egress'},'related':{'hosts':['box']},'log':{'level':'alert'},"
		"'service':{'name':'web'},'network':{'direction':'egress'},"
		"'egret':{'revoke':{'layer':'auto'},'seq':15,'percent':100,'limit_bytes':1000,"
		"'used_bytes':1000,'window_s':60,'window_end':'2026-11-25T21:01:00.000000000Z'}}",
	},
	{
		"restore",
		"{'type':'restore','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab',"
		"'actor':'uid=0 pid=12 via=socket','cause':'false alarm','lifted':['local'],'all':false}",
		"{'message':'restore web: false alarm','event':{'kind':'event','category':['configuration'],"
		"'type':['change'],'outcome':'success','action':'restore','dataset':'egret.restore',"
		"'severity':5,'reason':'false alarm'},'related':{'hosts':['box'],'user':['0',"
		"'hr@example.com']},'log':{'level':'notice'},'labels':{'team':'hr'},'user':{'id':'0'},"
		"'process':{'pid':12},'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'egret':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'actor':'uid=0 pid=12 via=socket','lifted':['local'],'all':false}}",
	},
	{
		"expire",
		"{'type':'expire','app':'web','seq':16,'reason':'expired'}",
		"{'message':'expire web: expired','event':{'kind':'event','category':['network'],"
		"'type':['denied','end'],'action':'expire','dataset':'egret.expire','severity':4,"
		"'reason':'expired'},'related':{'hosts':['box']},'log':{'level':'warning'},"
		"'service':{'name':'web'},'egret':{'seq':16}}",
	},
	{
		"policy, the first",
		"{'type':'policy','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'apply',"
		"'actor':'uid=0 pid=12 via=socket','source':'socket','expires':'2026-12-25T00:00:00Z',"
		"'mode':'enforce','rules':1,'reset_sockets':0}",
		"{'message':'policy-apply web','event':{'kind':'event','category':['configuration'],"
		"'type':['creation'],'outcome':'success','action':'policy-apply','dataset':'egret.policy',"
		"'severity':5},'related':{'hosts':['box'],'user':['0','hr@example.com']},"
		"'log':{'level':'notice'},'labels':{'team':'hr'},'user':{'id':'0'},'process':{'pid':12},"
		"'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'egret':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'actor':'uid=0 pid=12 via=socket','source':'socket','expires':'2026-12-25T00:00:00Z',"
		"'mode':'enforce','rules':1,'reset_sockets':0}}",
	},
	{
		"policy changed",
		"{'type':'policy','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'apply',"
		"'actor':'via=directory','previous_rev':'2-aa','source':'directory','file':'web.json',"
		"'expires':'2026-12-25T00:00:00Z','mode':'enforce','rules':2,'reset_sockets':1}",
		"{'message':'policy-apply web','event':{'kind':'event','category':['configuration'],"
		"'type':['change'],'outcome':'success','action':'policy-apply','dataset':'egret.policy',"
		"'severity':5},'related':{'hosts':['box'],'user':['hr@example.com']},"
		"'log':{'level':'notice'},'labels':{'team':'hr'},'rule':{'version':'3-ab','ruleset':'web'},"
		"'service':{'name':'web'},'egret':{'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','actor':'via=directory','previous_rev':'2-aa',"
		"'source':'directory','file':'web.json','expires':'2026-12-25T00:00:00Z','mode':'enforce',"
		"'rules':2,'reset_sockets':1}}",
	},
	{
		"policy deleted",
		"{'type':'policy','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'delete',"
		"'actor':'via=directory','cause':'its file is gone','reset_sockets':1}",
		"{'message':'policy-delete web: its file is gone','event':{'kind':'event',"
		"'category':['configuration'],'type':['deletion'],'outcome':'success',"
		"'action':'policy-delete','dataset':'egret.policy','severity':5,'reason':'its file is gone'},"
		"'related':{'hosts':['box'],'user':['hr@example.com']},'log':{'level':'notice'},"
		"'labels':{'team':'hr'},'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'egret':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'actor':'via=directory','reset_sockets':1}}",
	},
	{
		"dns learned",
		"{'type':'dns','app':'web','rule':'dns','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'ingress','proto':'udp','src':'10.0.0.53','src_port':53,'dst':'10.0.0.2',"
		"'dst_port':5555,'action':'learned','name':'api.example','qtype':'AAAA',"
		"'addresses':['2001:db8::1'],'address_count':1,'ttl':60,'verdict':'allow','bytes_in':90,"
		"'packets_in':1}",
		"{'message':'dns-learned web 10.0.0.53 api.example','event':{'kind':'event',"
		"'category':['network'],'type':['protocol','info','allowed'],'outcome':'success',"
		"'action':'dns-learned','dataset':'egret.dns','severity':6},'related':{'hosts':['box',"
		"'api.example'],'user':['1000'],'ip':['10.0.0.2','10.0.0.53','2001:db8::1']},"
		"'log':{'level':'info'},'process':{'user':{'id':'1000'},'pid':100,'name':'curl'},"
		"'user':{'id':'1000'},'rule':{'id':'dns','ruleset':'web'},'service':{'name':'web'},"
		"'source':{'port':5555,'ip':'10.0.0.2','address':'10.0.0.2'},'network':{'type':'ipv4',"
		"'direction':'egress','iana_number':'17','transport':'udp',"
		"'community_id':'1:5pXehazNysuI3KPpXjd0rGpILqU=','bytes':90,'packets':1,'protocol':'dns'},"
		"'destination':{'port':53,'ip':'10.0.0.53','address':'10.0.0.53','bytes':90,'packets':1},"
		"'dns':{'op_code':'QUERY','type':'answer','question':{'class':'IN','type':'AAAA',"
		"'name':'api.example'},'resolved_ip':['2001:db8::1'],'answers':[{'data':'2001:db8::1',"
		"'class':'IN','type':'AAAA','name':'api.example','ttl':60}],'response_code':'NOERROR'},"
		"'egret':{'seq':9,'address_count':1,'ttl':60,'verdict':'allow'}}",
	},
	{
		"dns refused",
		"{'type':'dns','app':'web','rule':'dns','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'udp','src':'10.0.0.2','src_port':5555,'dst':'10.0.0.53',"
		"'dst_port':53,'action':'refused','name':'secret.example','qtype':'A','verdict':'deny',"
		"'reason':'dns_name','bytes_out':60,'packets_out':1}",
		"{'message':'dns-refused web 10.0.0.53 secret.example: dns_name','event':{'kind':'event',"
		"'category':['network'],'type':['protocol','info','denied'],'outcome':'failure',"
		"'action':'dns-refused','dataset':'egret.dns','severity':4,'reason':'dns_name'},"
		"'related':{'hosts':['box','secret.example'],'user':['1000'],'ip':['10.0.0.2','10.0.0.53']},"
		"'error':{'code':'EPERM'},'log':{'level':'warning'},'process':{'user':{'id':'1000'},"
		"'pid':100,'name':'curl'},'user':{'id':'1000'},'rule':{'id':'dns','ruleset':'web'},"
		"'service':{'name':'web'},'source':{'port':5555,'ip':'10.0.0.2','address':'10.0.0.2',"
		"'bytes':60,'packets':1},'network':{'type':'ipv4','direction':'egress','iana_number':'17',"
		"'transport':'udp','community_id':'1:5pXehazNysuI3KPpXjd0rGpILqU=','bytes':60,'packets':1,"
		"'protocol':'dns'},'destination':{'port':53,'ip':'10.0.0.53','address':'10.0.0.53'},"
		"'dns':{'op_code':'QUERY','type':'query','question':{'class':'IN','type':'A',"
		"'name':'secret.example'}},'egret':{'seq':9,'verdict':'deny'}}",
	},
	{
		"dns forged",
		"{'type':'dns','app':'web','rule':'dns','direction':'ingress','proto':'udp',"
		"'src':'10.0.0.53','src_port':53,'dst':'10.0.0.2','dst_port':5555,'action':'forged',"
		"'name':'api.example','verdict':'deny','reason':'dns_unasked','bytes_in':90,'packets_in':1}",
		"{'message':'dns-forged web 10.0.0.53 api.example: dns_unasked','event':{'kind':'event',"
		"'category':['network'],'type':['protocol','info','denied'],'outcome':'failure',"
		"'action':'dns-forged','dataset':'egret.dns','severity':4,'reason':'dns_unasked'},"
		"'related':{'hosts':['box','api.example'],'ip':['10.0.0.2','10.0.0.53']},"
		"'log':{'level':'warning'},'rule':{'id':'dns','ruleset':'web'},'service':{'name':'web'},"
		"'source':{'port':5555,'ip':'10.0.0.2','address':'10.0.0.2'},'network':{'type':'ipv4',"
		"'direction':'egress','iana_number':'17','transport':'udp',"
		"'community_id':'1:5pXehazNysuI3KPpXjd0rGpILqU=','bytes':90,'packets':1,'protocol':'dns'},"
		"'destination':{'port':53,'ip':'10.0.0.53','address':'10.0.0.53','bytes':90,'packets':1},"
		"'dns':{'op_code':'QUERY','type':'answer','question':{'class':'IN','name':'api.example'}},"
		"'egret':{'verdict':'deny'}}",
	},
	{
		"dns prefetched",
		"{'type':'dns','app':'web','action':'prefetched','name':'api.example',"
		"'addresses':['198.51.100.1'],'address_count':1,'ttl':300}",
		"{'message':'dns-prefetched web api.example','event':{'kind':'event','category':['network'],"
		"'type':['protocol','info'],'action':'dns-prefetched','dataset':'egret.dns','severity':6},"
		"'related':{'hosts':['box','api.example'],'ip':['198.51.100.1']},'log':{'level':'info'},"
		"'service':{'name':'web'},'network':{'protocol':'dns'},'dns':{'op_code':'QUERY',"
		"'type':'answer','question':{'class':'IN','name':'api.example'},"
		"'resolved_ip':['198.51.100.1'],'answers':[{'data':'198.51.100.1','class':'IN','type':'A',"
		"'name':'api.example','ttl':300}],'response_code':'NOERROR'},'egret':{'address_count':1,"
		"'ttl':300}}",
	},
	{
		"alert: relax",
		"{'type':'alert','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'relax',"
		"'actor':'uid=0 pid=12 via=socket','cause':'incident','until':'2026-11-25T21:15:00Z'}",
		"{'message':'alert-relax web: incident','event':{'kind':'alert','category':['configuration'],"
		"'type':['change'],'action':'alert-relax','dataset':'egret.alert','severity':1,"
		"'reason':'incident'},'related':{'hosts':['box'],'user':['0','hr@example.com']},"
		"'log':{'level':'alert'},'labels':{'team':'hr'},'user':{'id':'0'},'process':{'pid':12},"
		"'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'egret':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'actor':'uid=0 pid=12 via=socket','until':'2026-11-25T21:15:00Z'}}",
	},
	{
		"alert: its end",
		"{'type':'alert','app':'web','action':'relax_end','actor':'via=agent',"
		"'cause':'its time is over','until':null}",
		"{'message':'alert-relax-end web: its time is over','event':{'kind':'event',"
		"'category':['configuration'],'type':['change'],'action':'alert-relax-end',"
		"'dataset':'egret.alert','severity':5,'reason':'its time is over'},"
		"'related':{'hosts':['box']},'log':{'level':'notice'},'service':{'name':'web'},"
		"'egret':{'actor':'via=agent','until':null}}",
	},
	{
		"alert: guard lost",
		"{'type':'alert','app':'web','action':'guard_lost','interface':'veth1'}",
		"{'message':'alert-guard-lost web','event':{'kind':'alert',"
		"'category':['intrusion_detection'],'type':['info'],'action':'alert-guard-lost',"
		"'dataset':'egret.alert','severity':1},'related':{'hosts':['box']},'log':{'level':'alert'},"
		"'service':{'name':'web'},'egret':{'interface':'veth1'}}",
	},
	{
		"alert of a threshold",
		"{'type':'alert','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','alert':'denied',"
		"'over':20,'value':31,'window_s':60,'from':'policy','action':'alert','audit':false}",
		"{'message':'alert-denied web','event':{'kind':'alert','category':['network'],"
		"'type':['info'],'action':'alert-denied','dataset':'egret.alert','severity':1},"
		"'related':{'hosts':['box'],'user':['hr@example.com']},'log':{'level':'alert'},"
		"'labels':{'team':'hr'},'rule':{'version':'3-ab','ruleset':'web'},'service':{'name':'web'},"
		"'egret':{'alert':{'name':'denied','over':20,'value':31,'window_s':60,'from':'policy'},"
		"'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','action':'alert',"
		"'audit':false}}",
	},
	{
		"agent started",
		"{'type':'agent','action':'start','version':'0.1.0','adopted':true,'apps':3,'roots':1,"
		"'host_labels':{'region':'eu','a.b':'c'}}",
		"{'message':'agent-start','event':{'kind':'event','category':['process'],'type':['start'],"
		"'action':'agent-start','dataset':'egret.agent','severity':5},'related':{'hosts':['box']},"
		"'log':{'level':'notice'},'egret':{'host_labels':['region=eu','a.b=c'],'version':'0.1.0',"
		"'adopted':true,'apps':3,'roots':1}}",
	},
	{
		"agent stopped",
		"{'type':'agent','action':'stop'}",
		"{'message':'agent-stop','event':{'kind':'event','category':['process'],'type':['end'],"
		"'action':'agent-stop','dataset':'egret.agent','severity':5},'related':{'hosts':['box']},"
		"'log':{'level':'notice'}}",
	},
	{
		"agent read its configuration again",
		"{'type':'agent','action':'reload'}",
		"{'message':'agent-reload','event':{'kind':'event','category':['configuration'],"
		"'type':['change'],'action':'agent-reload','dataset':'egret.agent','severity':6},"
		"'related':{'hosts':['box']},'log':{'level':'info'}}",
	},
	{
		"agent: tag",
		"{'type':'agent','app':'web','action':'tag','cgroup':'m.slice/x.scope',"
		"'actor':'uid=0 pid=12 via=socket','state':'enforce'}",
		"{'message':'agent-tag web','event':{'kind':'event','category':['configuration'],"
		"'type':['change'],'action':'agent-tag','dataset':'egret.agent','severity':6},"
		"'related':{'hosts':['box'],'user':['0']},'log':{'level':'info'},'user':{'id':'0'},"
		"'process':{'pid':12},'service':{'name':'web'},'egret':{'cgroup':'m.slice/x.scope',"
		"'actor':'uid=0 pid=12 via=socket','state':'enforce'}}",
	},
	{
		"agent: ambiguous cgroup",
		"{'type':'agent','action':'ambiguous_cgroup','cgroup':'m.slice/x.scope','verdict':'deny'}",
		"{'message':'agent-ambiguous-cgroup','event':{'kind':'event','category':['configuration'],"
		"'type':['info'],'action':'agent-ambiguous-cgroup','dataset':'egret.agent','severity':4},"
		"'related':{'hosts':['box']},'log':{'level':'warning'},'egret':{'cgroup':'m.slice/x.scope',"
		"'verdict':'deny'}}",
	},
	{
		"agent: foreign sockets cut",
		"{'type':'agent','action':'cut_foreign_sockets','cgroup':'m.slice/x.scope','sockets':2}",
		"{'message':'agent-cut-foreign-sockets','event':{'kind':'event','category':['network'],"
		"'type':['denied','end'],'action':'agent-cut-foreign-sockets','dataset':'egret.agent',"
		"'severity':4},'related':{'hosts':['box']},'log':{'level':'warning'},"
		"'egret':{'cgroup':'m.slice/x.scope','sockets':2}}",
	},
	{
		"agent: attached again",
		"{'type':'agent','action':'reattach','root':'m.slice','cause':'it was removed','ok':false}",
		"{'message':'agent-reattach: it was removed','event':{'kind':'event',"
		"'category':['configuration'],'type':['change'],'outcome':'failure',"
		"'action':'agent-reattach','dataset':'egret.agent','severity':4,'reason':'it was removed'},"
		"'related':{'hosts':['box']},'log':{'level':'warning'},'egret':{'root':'m.slice','ok':false}}",
	},
	{
		"agent: log recovered",
		"{'type':'agent','event':'log_recovered','error':'No space left on device',"
		"'duration_ms':1500}",
		"{'message':'agent-log-recovered','event':{'duration':1500000000,'kind':'event',"
		"'category':['host'],'type':['info'],'action':'agent-log-recovered','dataset':'egret.agent',"
		"'severity':4},'related':{'hosts':['box']},'log':{'level':'warning'},"
		"'egret':{'error':'No space left on device'}}",
	},
	{
		"agent: snapshot",
		"{'type':'agent','app':'web','action':'snapshot','file':'/var/lib/egret/snapshots/web-1.json'}",
		"{'message':'agent-snapshot web','event':{'kind':'event','category':['host'],'type':['info'],"
		"'action':'agent-snapshot','dataset':'egret.agent','severity':6},'related':{'hosts':['box']},"
		"'log':{'level':'info'},'service':{'name':'web'},"
		"'egret':{'file':'/var/lib/egret/snapshots/web-1.json'}}",
	},
	{
		"agent: snapshot failed",
		"{'type':'agent','app':'web','action':'snapshot_failed','error':'No space left on device'}",
		"{'message':'agent-snapshot-failed web','event':{'kind':'event','category':['host'],"
		"'type':['info'],'action':'agent-snapshot-failed','dataset':'egret.agent','severity':4},"
		"'related':{'hosts':['box']},'log':{'level':'warning'},'service':{'name':'web'},"
		"'egret':{'error':'No space left on device'}}",
	},
	{
		"suppressed",
		"{'type':'suppressed','app':'web','cause':'event_budget','events':40,'flow_events':30,"
		"'flow_ends':10,'deny_events':10,'bytes_out':1,'bytes_in':2,'packets_out':3,'packets_in':4,"
		"'denied_bytes':5}",
		"{'message':'suppressed web: event_budget','event':{'kind':'event','category':['host'],"
		"'type':['info'],'action':'suppressed','dataset':'egret.suppressed','severity':4,"
		"'reason':'event_budget'},'related':{'hosts':['box']},'log':{'level':'warning'},"
		"'service':{'name':'web'},'egret':{'events':40,'flow_events':30,'flow_ends':10,"
		"'deny_events':10,'bytes_out':1,'bytes_in':2,'packets_out':3,'packets_in':4,"
		"'denied_bytes':5}}",
	},
	{
		"lost",
		"{'type':'lost','app':'web','cause':'ring_full','events':40,'flow_events':30,'flow_ends':10,"
		"'deny_events':10,'bytes_out':1,'bytes_in':2,'packets_out':3,'packets_in':4,'denied_bytes':5}",
		"{'message':'lost web: ring_full','event':{'kind':'event','category':['host'],"
		"'type':['info'],'action':'lost','dataset':'egret.lost','severity':4,'reason':'ring_full'},"
		"'related':{'hosts':['box']},'log':{'level':'warning'},'service':{'name':'web'},"
		"'egret':{'events':40,'flow_events':30,'flow_ends':10,'deny_events':10,'bytes_out':1,"
		"'bytes_in':2,'packets_out':3,'packets_in':4,'denied_bytes':5}}",
	},
	{
		"lost: deleted by the quota",
		"{'type':'lost','cause':'quota','events':40,'log_bytes':9000,'segments':1,"
		"'first_event_id':'box-7-1','last_event_id':'box-7-40'}",
		"{'message':'lost: quota','event':{'kind':'event','category':['host'],'type':['info'],"
		"'action':'lost','dataset':'egret.lost','severity':4,'reason':'quota'},"
		"'related':{'hosts':['box']},'log':{'level':'warning'},'egret':{'events':40,'log_bytes':9000,"
		"'segments':1,'first_event_id':'box-7-1','last_event_id':'box-7-40'}}",
	},
	{
		"a type that is not known yet",
		"{'type':'novel','app':'web','weight':1.5,'parts':[1,'a',{'b':null}]}",
		"{'message':'novel web','event':{'kind':'event','category':['host'],'type':['info'],"
		"'action':'novel','dataset':'egret.novel','severity':6},'related':{'hosts':['box']},"
		"'log':{'level':'info'},'service':{'name':'web'},'egret':{'weight':1.5,'parts':[1,'a',"
		"{'b':null}]}}",
	},
};

#endif
