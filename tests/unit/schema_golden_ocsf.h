/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_golden_ocsf.h - every kind of event, and what it is in OCSF 1.8
 *
 * Quotes are single for the sake of the eye. What all have in common is in the tests.
 */
#ifndef EG_TEST_SCHEMA_GOLDEN_OCSF_H
#define EG_TEST_SCHEMA_GOLDEN_OCSF_H

static const struct golden ocsf_events[] = {
	{
		"flow start",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','src':'10.0.0.2','src_port':4000,'dst':'198.51.100.7',"
		"'dst_port':443,'phase':'start','flow_id':'1-1-7','rule':'api','name':'api.example',"
		"'verdict':'allow','bytes_out':60,'bytes_in':0,'packets_out':1,'packets_in':0,"
		"'start':'2026-11-25T21:00:00.123456789Z','duration_ms':0}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':1,'activity_name':'Open','type_uid':400101,"
		"'type_name':'Network Activity: Open','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':1,'disposition':'Allowed','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'flow-start','profiles':['host',"
		"'security_control'],'tags':[{'name':'team','value':'hr'}]},'actor':{'process':{'pid':100,"
		"'name':'curl','user':{'uid':'1000'}}},'duration':0,'start_time':1795640400123,"
		"'message':'flow-start web 198.51.100.7 api.example','connection_info':{'direction_id':2,"
		"'direction':'Outbound','protocol_num':6,'protocol_name':'tcp',"
		"'community_uid':'1:q8fwO8J5tScAwrgWbUjnCAgQkiM=','uid':'1-1-7','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':4000,"
		"'ip':'10.0.0.2','hostname':'box'},'dst_endpoint':{'port':443,'ip':'198.51.100.7',"
		"'domain':'api.example'},'traffic':{'bytes_out':60,'bytes_in':0,'bytes':60,'packets_out':1,"
		"'packets_in':0,'packets':1},'policy':{'name':'web','is_applied':true,'version':'3-ab'},"
		"'firewall_rule':{'uid':'api'},'app_name':'web','unmapped':{'owner':'hr@example.com',"
		"'ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':9,'verdict':'allow'}}",
	},
	{
		"flow update",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','src':'10.0.0.2','src_port':4000,'dst':'198.51.100.7',"
		"'dst_port':443,'phase':'update','flow_id':'1-1-7','rule':'api','verdict':'audit',"
		"'reason':'no_rule','bytes_out':1000,'bytes_in':2000,'packets_out':10,'packets_in':20,"
		"'start':'2026-11-25T20:59:59.000000001Z','duration_ms':1123}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':6,'activity_name':'Traffic','type_uid':400106,"
		"'type_name':'Network Activity: Traffic','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':17,'disposition':'Logged','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'flow-update','profiles':['host',"
		"'security_control'],'tags':[{'name':'team','value':'hr'}]},'actor':{'process':{'pid':100,"
		"'name':'curl','user':{'uid':'1000'}}},'duration':1123,'start_time':1795640399000,"
		"'message':'flow-update web 198.51.100.7: no_rule','connection_info':{'direction_id':2,"
		"'direction':'Outbound','protocol_num':6,'protocol_name':'tcp',"
		"'community_uid':'1:q8fwO8J5tScAwrgWbUjnCAgQkiM=','uid':'1-1-7','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':4000,"
		"'ip':'10.0.0.2','hostname':'box'},'dst_endpoint':{'port':443,'ip':'198.51.100.7'},"
		"'traffic':{'bytes_out':1000,'bytes_in':2000,'bytes':3000,'packets_out':10,'packets_in':20,"
		"'packets':30},'policy':{'name':'web','is_applied':false,'version':'3-ab'},"
		"'firewall_rule':{'uid':'api'},'app_name':'web','status_detail':'no_rule',"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':9,"
		"'verdict':'audit'}}",
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
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':2,'activity_name':'Close','type_uid':400102,"
		"'type_name':'Network Activity: Close','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':1,'disposition':'Allowed','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'flow-end','profiles':['host',"
		"'security_control'],'correlation_uid':'req-1','tags':[{'name':'team','value':'hr'}]},"
		"'actor':{'process':{'pid':100,'name':'curl','user':{'uid':'1000'}}},'duration':1123,"
		"'start_time':1795640399000,'end_time':1795640400123,"
		"'message':'flow-end web 198.51.100.7 api.example','connection_info':{'direction_id':2,"
		"'direction':'Outbound','protocol_num':6,'protocol_name':'tcp',"
		"'community_uid':'1:q8fwO8J5tScAwrgWbUjnCAgQkiM=','uid':'1-1-7','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':4000,"
		"'ip':'10.0.0.2','hostname':'box'},'dst_endpoint':{'port':443,'ip':'198.51.100.7',"
		"'zone':'dc-eu','domain':'api.example'},'traffic':{'bytes_out':1000,'bytes_in':2000,"
		"'bytes':3000,'packets_out':10,'packets_in':20,'packets':30},'policy':{'name':'web',"
		"'is_applied':true,'version':'3-ab'},'firewall_rule':{'uid':'api'},'app_name':'web',"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':9,"
		"'sni':'api.example','verified':true,'verdict':'allow','rtt_us':77,'retransmits':2,"
		"'catalog_id':'cat-1','log':'full','network':{'name':'dc-eu','region':'eu-1'}}}",
	},
	{
		"flow end, ingress, IPv6",
		"{'type':'flow','app':'web','direction':'ingress','proto':'udp','src':'fd00::9',"
		"'src_port':5000,'dst':'fd00::2','dst_port':8080,'phase':'end','flow_id':'1-1-8','rule':'gw',"
		"'verdict':'allow','bytes_out':1000,'bytes_in':2000,'packets_out':10,'packets_in':20,"
		"'start':'2026-11-25T20:59:59.000000001Z','duration_ms':1123}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':2,'activity_name':'Close','type_uid':400102,"
		"'type_name':'Network Activity: Close','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':1,'disposition':'Allowed','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'flow-end','profiles':['host',"
		"'security_control']},'duration':1123,'start_time':1795640399000,'end_time':1795640400123,"
		"'message':'flow-end web fd00::2','connection_info':{'direction_id':1,'direction':'Inbound',"
		"'protocol_num':17,'protocol_name':'udp','community_uid':'1:zSKkBOGyVPy/usYrxY6f5B3noM8=',"
		"'uid':'1-1-8','protocol_ver_id':6,'protocol_ver':'Internet Protocol version 6 (IPv6)'},"
		"'src_endpoint':{'port':5000,'ip':'fd00::9'},'dst_endpoint':{'port':8080,'ip':'fd00::2',"
		"'hostname':'box'},'traffic':{'bytes_out':2000,'bytes_in':1000,'bytes':3000,'packets_out':20,"
		"'packets_in':10,'packets':30},'firewall_rule':{'uid':'gw'},'app_name':'web',"
		"'unmapped':{'verdict':'allow'}}",
	},
	{
		"flow roll-up",
		"{'type':'flow','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','direction':'egress','proto':'tcp',"
		"'dst':'198.51.100.7','dst_port':443,'phase':'rollup','rule':'api','verdict':'allow',"
		"'flows':12,'start':'2026-11-25T20:59:00.000000000Z','end':'2026-11-25T21:00:00.000000000Z',"
		"'bytes_out':1000,'bytes_in':2000,'packets_out':10,'packets_in':20}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':6,'activity_name':'Traffic','type_uid':400106,"
		"'type_name':'Network Activity: Traffic','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':1,'disposition':'Allowed','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'flow-rollup','profiles':['host',"
		"'security_control'],'tags':[{'name':'team','value':'hr'}]},'start_time':1795640340000,"
		"'end_time':1795640400000,'message':'flow-rollup web 198.51.100.7',"
		"'connection_info':{'direction_id':2,'direction':'Outbound','protocol_num':6,"
		"'protocol_name':'tcp','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'dst_endpoint':{'port':443,"
		"'ip':'198.51.100.7'},'src_endpoint':{'hostname':'box'},'traffic':{'bytes_out':1000,"
		"'bytes_in':2000,'bytes':3000,'packets_out':10,'packets_in':20,'packets':30},"
		"'policy':{'name':'web','is_applied':true,'version':'3-ab'},'firewall_rule':{'uid':'api'},"
		"'app_name':'web','count':12,'unmapped':{'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','verdict':'allow'}}",
	},
	{
		"deny at connect",
		"{'type':'deny','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'tcp','dst':'203.0.113.5','dst_port':22,'verdict':'deny',"
		"'reason':'no_rule','hook':'connect'}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':5,'activity_name':'Refuse','type_uid':400105,"
		"'type_name':'Network Activity: Refuse','severity_id':3,'severity':'Medium','status_id':2,"
		"'status':'Failure','status_code':'EPERM','disposition_id':2,'disposition':'Blocked',"
		"'action_id':2,'action':'Denied','metadata':{'event_code':'deny','profiles':['host',"
		"'security_control'],'tags':[{'name':'team','value':'hr'}]},'actor':{'process':{'pid':100,"
		"'name':'curl','user':{'uid':'1000'}}},'message':'deny web 203.0.113.5: no_rule',"
		"'connection_info':{'direction_id':2,'direction':'Outbound','protocol_num':6,"
		"'protocol_name':'tcp','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'dst_endpoint':{'port':22,"
		"'ip':'203.0.113.5'},'src_endpoint':{'hostname':'box'},'policy':{'name':'web',"
		"'is_applied':true,'version':'3-ab'},'app_name':'web','status_detail':'no_rule',"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':9,"
		"'verdict':'deny','hook':'connect'}}",
	},
	{
		"deny of a packet, audit, ICMPv6",
		"{'type':'deny','app':'web','seq':10,'direction':'egress','proto':'icmpv6','src':'fd00::2',"
		"'dst':'fd00::9','icmp_type':128,'icmp_code':0,'verdict':'audit','reason':'no_rule',"
		"'hook':'packet','bytes_out':104,'packets_out':1}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':6,'activity_name':'Traffic','type_uid':400106,"
		"'type_name':'Network Activity: Traffic','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'Success','disposition_id':17,'disposition':'Logged','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'deny','profiles':['host','security_control']},"
		"'message':'deny web fd00::9: no_rule','connection_info':{'direction_id':2,"
		"'direction':'Outbound','protocol_num':58,'protocol_name':'ipv6-icmp',"
		"'community_uid':'1:ahFZNhUPmLYkOa33iO7PAD8s99A=','protocol_ver_id':6,"
		"'protocol_ver':'Internet Protocol version 6 (IPv6)'},'src_endpoint':{'ip':'fd00::2',"
		"'hostname':'box'},'dst_endpoint':{'ip':'fd00::9'},'traffic':{'bytes_out':104,'bytes':104,"
		"'packets_out':1,'packets':1},'app_name':'web','status_detail':'no_rule',"
		"'unmapped':{'seq':10,'icmp_type':128,'icmp_code':0,'verdict':'audit','hook':'packet'}}",
	},
	{
		"deny, ingress",
		"{'type':'deny','app':'web','seq':11,'direction':'ingress','proto':'tcp','src':'203.0.113.5',"
		"'src_port':1234,'dst':'10.0.0.2','dst_port':22,'verdict':'deny','reason':'no_ingress_rule',"
		"'hook':'packet','bytes_in':60,'packets_in':1}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':5,'activity_name':'Refuse','type_uid':400105,"
		"'type_name':'Network Activity: Refuse','severity_id':2,'severity':'Low','status_id':2,"
		"'status':'Failure','disposition_id':2,'disposition':'Blocked','action_id':2,"
		"'action':'Denied','metadata':{'event_code':'deny','profiles':['host','security_control']},"
		"'message':'deny web 10.0.0.2: no_ingress_rule','connection_info':{'direction_id':1,"
		"'direction':'Inbound','protocol_num':6,'protocol_name':'tcp',"
		"'community_uid':'1:RuRDevNn4170DrKj9cL2X2/PWfw=','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':1234,"
		"'ip':'203.0.113.5'},'dst_endpoint':{'port':22,'ip':'10.0.0.2','hostname':'box'},"
		"'traffic':{'bytes_out':60,'bytes':60,'packets_out':1,'packets':1},'app_name':'web',"
		"'status_detail':'no_ingress_rule','unmapped':{'seq':11,'verdict':'deny','hook':'packet'}}",
	},
	{
		"cap at 80 percent",
		"{'type':'cap','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':12,'direction':'egress',"
		"'reason':'cap_egress','percent':80,'limit_bytes':1000000,'used_bytes':800100,"
		"'window_s':3600,'window_end':'2026-11-25T22:00:00.000000000Z'}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':6,'activity_name':'Traffic','type_uid':400106,"
		"'type_name':'Network Activity: Traffic','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'Success','is_alert':true,'disposition_id':19,'disposition':'Alert','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'cap','profiles':['host','security_control'],"
		"'tags':[{'name':'team','value':'hr'}]},'message':'cap web: cap_egress',"
		"'connection_info':{'direction_id':2,'direction':'Outbound'},"
		"'src_endpoint':{'hostname':'box'},'policy':{'name':'web','is_applied':true,"
		"'version':'3-ab'},'app_name':'web','status_detail':'cap_egress',"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':12,"
		"'percent':80,'limit_bytes':1000000,'used_bytes':800100,'window_s':3600,"
		"'window_end':'2026-11-25T22:00:00.000000000Z'}}",
	},
	{
		"cap used up",
		"{'type':'cap','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','seq':13,'direction':'egress',"
		"'reason':'cap_egress','percent':100,'limit_bytes':1000000,'used_bytes':1000000,"
		"'window_s':3600,'window_end':'2026-11-25T22:00:00.000000000Z'}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':6,'activity_name':'Traffic','type_uid':400106,"
		"'type_name':'Network Activity: Traffic','severity_id':3,'severity':'Medium','status_id':1,"
		"'status':'Success','is_alert':true,'disposition_id':6,'disposition':'Dropped','action_id':2,"
		"'action':'Denied','metadata':{'event_code':'cap','profiles':['host','security_control'],"
		"'tags':[{'name':'team','value':'hr'}]},'message':'cap web: cap_egress',"
		"'connection_info':{'direction_id':2,'direction':'Outbound'},"
		"'src_endpoint':{'hostname':'box'},'policy':{'name':'web','is_applied':true,"
		"'version':'3-ab'},'app_name':'web','status_detail':'cap_egress',"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope','seq':13,"
		"'percent':100,'limit_bytes':1000000,'used_bytes':1000000,'window_s':3600,"
		"'window_end':'2026-11-25T22:00:00.000000000Z'}}",
	},
	{
		"rate",
		"{'type':'rate','app':'web','seq':14,'direction':'egress','reason':'rate_egress',"
		"'limit_bits_per_s':10000000}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':6,'activity_name':'Traffic','type_uid':400106,"
		"'type_name':'Network Activity: Traffic','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'Success','disposition_id':6,'disposition':'Dropped','action_id':2,"
		"'action':'Denied','metadata':{'event_code':'rate','profiles':['host','security_control']},"
		"'message':'rate web: rate_egress','connection_info':{'direction_id':2,"
		"'direction':'Outbound'},'src_endpoint':{'hostname':'box'},'app_name':'web',"
		"'status_detail':'rate_egress','unmapped':{'seq':14,'limit_bits_per_s':10000000}}",
	},
	{
		"kill by a person",
		"{'type':'kill','app':'web','owner':'hr@example.com','ticket':'SEC-1','labels':{'team':'hr'},"
		"'cgroup':'m.slice/web.scope','policy_rev':'3-ab','layer':'local',"
		"'actor':'uid=0 pid=12 via=socket','cause':'exfiltration','all':false,'durable':true,"
		"'sockets':3,'flows':2,'stored_us':5,'took_us':800}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':7,'activity_name':'Disable',"
		"'type_uid':600207,'type_name':'Application Lifecycle: Disable','severity_id':4,"
		"'severity':'High','status_id':1,'status':'Success','is_alert':true,'disposition_id':24,"
		"'disposition':'Access Revoked','action_id':2,'action':'Denied',"
		"'metadata':{'event_code':'kill','profiles':['host','security_control'],"
		"'tags':[{'name':'team','value':'hr'}]},'actor':{'user':{'uid':'0'},'app_name':'socket',"
		"'process':{'pid':12}},'message':'kill web: exfiltration','status_detail':'exfiltration',"
		"'app':{'name':'web'},'policy':{'name':'web','version':'3-ab'},"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'layer':'local','all':false,'durable':true,'sockets':3,'flows':2,'stored_us':5,"
		"'took_us':800}}",
	},
	{
		"kill of all",
		"{'type':'kill','layer':'control','actor':'via=etcd','all':true,'durable':true,'sockets':0,"
		"'flows':0,'stored_us':5,'took_us':9}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':7,'activity_name':'Disable',"
		"'type_uid':600207,'type_name':'Application Lifecycle: Disable','severity_id':4,"
		"'severity':'High','status_id':1,'status':'Success','is_alert':true,'disposition_id':24,"
		"'disposition':'Access Revoked','action_id':2,'action':'Denied',"
		"'metadata':{'event_code':'kill','profiles':['host','security_control']},"
		"'actor':{'app_name':'etcd'},'message':'kill','app':{'name':'*'},"
		"'unmapped':{'layer':'control','all':true,'durable':true,'sockets':0,'flows':0,'stored_us':5,"
		"'took_us':9}}",
	},
	{
		"kill by a cap",
		"{'type':'kill','app':'web','seq':15,'direction':'egress','reason':'cap_egress',"
		"'layer':'auto','percent':100,'limit_bytes':1000,'used_bytes':1000,'window_s':60,"
		"'window_end':'2026-11-25T21:01:00.000000000Z'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':7,'activity_name':'Disable',"
		"'type_uid':600207,'type_name':'Application Lifecycle: Disable','severity_id':4,"
		"'severity':'High','status_id':1,'status':'Success','is_alert':true,'disposition_id':24,"
		"'disposition':'Access Revoked','action_id':2,'action':'Denied',"
		"'metadata':{'event_code':'kill','profiles':['host','security_control']},"
		"'message':'kill web: cap_egress','app':{'name':'web'},'policy':{'name':'web'},"
		"'status_detail':'cap_egress','unmapped':{'seq':15,'direction':'egress','layer':'auto',"
		"'percent':100,'limit_bytes':1000,'used_bytes':1000,'window_s':60,"
		"'window_end':'2026-11-25T21:01:00.000000000Z'}}",
	},
	{
		"restore",
		"{'type':'restore','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab',"
		"'actor':'uid=0 pid=12 via=socket','cause':'false alarm','lifted':['local'],'all':false}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':6,'activity_name':'Enable',"
		"'type_uid':600206,'type_name':'Application Lifecycle: Enable','severity_id':2,"
		"'severity':'Low','status_id':1,'status':'Success','disposition_id':9,"
		"'disposition':'Restored','action_id':1,'action':'Allowed',"
		"'metadata':{'event_code':'restore','profiles':['host','security_control'],"
		"'tags':[{'name':'team','value':'hr'}]},'actor':{'user':{'uid':'0'},'app_name':'socket',"
		"'process':{'pid':12}},'message':'restore web: false alarm','status_detail':'false alarm',"
		"'app':{'name':'web'},'policy':{'name':'web','version':'3-ab'},"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'lifted':['local'],'all':false}}",
	},
	{
		"expire",
		"{'type':'expire','app':'web','seq':16,'reason':'expired'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':7,'activity_name':'Disable',"
		"'type_uid':600207,'type_name':'Application Lifecycle: Disable','severity_id':3,"
		"'severity':'Medium','status_id':1,'status':'Success','disposition_id':24,"
		"'disposition':'Access Revoked','action_id':2,'action':'Denied',"
		"'metadata':{'event_code':'expire','profiles':['host','security_control']},"
		"'message':'expire web: expired','app':{'name':'web'},'policy':{'name':'web'},"
		"'status_detail':'expired','unmapped':{'seq':16}}",
	},
	{
		"policy, the first",
		"{'type':'policy','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'apply',"
		"'actor':'uid=0 pid=12 via=socket','source':'socket','expires':'2026-12-25T00:00:00Z',"
		"'mode':'enforce','rules':1,'reset_sockets':0}",
		"{'category_uid':3,'category_name':'Identity & Access Management','class_uid':3004,"
		"'class_name':'Entity Management','activity_id':1,'activity_name':'Create','type_uid':300401,"
		"'type_name':'Entity Management: Create','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'Success','metadata':{'event_code':'policy-apply','profiles':['host'],"
		"'tags':[{'name':'team','value':'hr'}]},'actor':{'user':{'uid':'0'},'app_name':'socket',"
		"'process':{'pid':12}},'message':'policy-apply web','entity':{'name':'web','type':'Policy',"
		"'type_id':5,'uid':'web','policy':{'name':'web','uid':'web','is_applied':true,"
		"'version':'3-ab'},'version':'3-ab'},'unmapped':{'owner':'hr@example.com','ticket':'SEC-1',"
		"'cgroup':'m.slice/web.scope','source':'socket','expires':'2026-12-25T00:00:00Z',"
		"'mode':'enforce','rules':1,'reset_sockets':0}}",
	},
	{
		"policy changed",
		"{'type':'policy','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'apply',"
		"'actor':'via=directory','previous_rev':'2-aa','source':'directory','file':'web.json',"
		"'expires':'2026-12-25T00:00:00Z','mode':'enforce','rules':2,'reset_sockets':1}",
		"{'category_uid':3,'category_name':'Identity & Access Management','class_uid':3004,"
		"'class_name':'Entity Management','activity_id':3,'activity_name':'Update','type_uid':300403,"
		"'type_name':'Entity Management: Update','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'Success','metadata':{'event_code':'policy-apply','profiles':['host'],"
		"'tags':[{'name':'team','value':'hr'}]},'actor':{'app_name':'directory'},"
		"'message':'policy-apply web','entity':{'name':'web','type':'Policy','type_id':5,'uid':'web',"
		"'policy':{'name':'web','uid':'web','is_applied':true,'version':'3-ab'},'version':'3-ab'},"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'previous_rev':'2-aa','source':'directory','file':'web.json',"
		"'expires':'2026-12-25T00:00:00Z','mode':'enforce','rules':2,'reset_sockets':1}}",
	},
	{
		"policy deleted",
		"{'type':'policy','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'delete',"
		"'actor':'via=directory','cause':'its file is gone','reset_sockets':1}",
		"{'category_uid':3,'category_name':'Identity & Access Management','class_uid':3004,"
		"'class_name':'Entity Management','activity_id':4,'activity_name':'Delete','type_uid':300404,"
		"'type_name':'Entity Management: Delete','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'Success','metadata':{'event_code':'policy-delete','profiles':['host'],"
		"'tags':[{'name':'team','value':'hr'}]},'actor':{'app_name':'directory'},"
		"'message':'policy-delete web: its file is gone','comment':'its file is gone',"
		"'entity':{'name':'web','type':'Policy','type_id':5,'uid':'web','policy':{'name':'web',"
		"'uid':'web','is_applied':false,'version':'3-ab'},'version':'3-ab'},"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'reset_sockets':1}}",
	},
	{
		"dns learned",
		"{'type':'dns','app':'web','rule':'dns','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'ingress','proto':'udp','src':'10.0.0.53','src_port':53,'dst':'10.0.0.2',"
		"'dst_port':5555,'action':'learned','name':'api.example','qtype':'AAAA',"
		"'addresses':['2001:db8::1'],'address_count':1,'ttl':60,'verdict':'allow','bytes_in':90,"
		"'packets_in':1}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4003,"
		"'class_name':'DNS Activity','activity_id':2,'activity_name':'Response','type_uid':400302,"
		"'type_name':'DNS Activity: Response','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':1,'disposition':'Allowed','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'dns-learned','profiles':['host',"
		"'security_control']},'actor':{'process':{'pid':100,'name':'curl','user':{'uid':'1000'}}},"
		"'message':'dns-learned web 10.0.0.53 api.example','connection_info':{'direction_id':2,"
		"'direction':'Outbound','protocol_num':17,'protocol_name':'udp',"
		"'community_uid':'1:5pXehazNysuI3KPpXjd0rGpILqU=','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':5555,"
		"'ip':'10.0.0.2','hostname':'box'},'dst_endpoint':{'port':53,'ip':'10.0.0.53'},"
		"'traffic':{'bytes_in':90,'bytes':90,'packets_in':1,'packets':1},"
		"'firewall_rule':{'uid':'dns'},'app_name':'web','query':{'hostname':'api.example',"
		"'class':'IN','opcode_id':0,'opcode':'Query','type':'AAAA'},'rcode_id':0,'rcode':'NoError',"
		"'answers':[{'rdata':'2001:db8::1','class':'IN','type':'AAAA','ttl':60}],'unmapped':{'seq':9,"
		"'address_count':1,'ttl':60,'verdict':'allow'}}",
	},
	{
		"dns refused",
		"{'type':'dns','app':'web','rule':'dns','seq':9,'pid':100,'uid':1000,'comm':'curl',"
		"'direction':'egress','proto':'udp','src':'10.0.0.2','src_port':5555,'dst':'10.0.0.53',"
		"'dst_port':53,'action':'refused','name':'secret.example','qtype':'A','verdict':'deny',"
		"'reason':'dns_name','bytes_out':60,'packets_out':1}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4003,"
		"'class_name':'DNS Activity','activity_id':1,'activity_name':'Query','type_uid':400301,"
		"'type_name':'DNS Activity: Query','severity_id':3,'severity':'Medium','status_id':2,"
		"'status':'Failure','status_code':'EPERM','disposition_id':2,'disposition':'Blocked',"
		"'action_id':2,'action':'Denied','metadata':{'event_code':'dns-refused','profiles':['host',"
		"'security_control']},'actor':{'process':{'pid':100,'name':'curl','user':{'uid':'1000'}}},"
		"'message':'dns-refused web 10.0.0.53 secret.example: dns_name',"
		"'connection_info':{'direction_id':2,'direction':'Outbound','protocol_num':17,"
		"'protocol_name':'udp','community_uid':'1:5pXehazNysuI3KPpXjd0rGpILqU=','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':5555,"
		"'ip':'10.0.0.2','hostname':'box'},'dst_endpoint':{'port':53,'ip':'10.0.0.53'},"
		"'traffic':{'bytes_out':60,'bytes':60,'packets_out':1,'packets':1},"
		"'firewall_rule':{'uid':'dns'},'app_name':'web','query':{'hostname':'secret.example',"
		"'class':'IN','opcode_id':0,'opcode':'Query','type':'A'},'status_detail':'dns_name',"
		"'unmapped':{'seq':9,'verdict':'deny'}}",
	},
	{
		"dns forged",
		"{'type':'dns','app':'web','rule':'dns','direction':'ingress','proto':'udp',"
		"'src':'10.0.0.53','src_port':53,'dst':'10.0.0.2','dst_port':5555,'action':'forged',"
		"'name':'api.example','verdict':'deny','reason':'dns_unasked','bytes_in':90,'packets_in':1}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4003,"
		"'class_name':'DNS Activity','activity_id':2,'activity_name':'Response','type_uid':400302,"
		"'type_name':'DNS Activity: Response','severity_id':3,'severity':'Medium','status_id':2,"
		"'status':'Failure','disposition_id':6,'disposition':'Dropped','action_id':2,"
		"'action':'Denied','metadata':{'event_code':'dns-forged','profiles':['host',"
		"'security_control']},'message':'dns-forged web 10.0.0.53 api.example: dns_unasked',"
		"'connection_info':{'direction_id':2,'direction':'Outbound','protocol_num':17,"
		"'protocol_name':'udp','community_uid':'1:5pXehazNysuI3KPpXjd0rGpILqU=','protocol_ver_id':4,"
		"'protocol_ver':'Internet Protocol version 4 (IPv4)'},'src_endpoint':{'port':5555,"
		"'ip':'10.0.0.2','hostname':'box'},'dst_endpoint':{'port':53,'ip':'10.0.0.53'},"
		"'traffic':{'bytes_in':90,'bytes':90,'packets_in':1,'packets':1},"
		"'firewall_rule':{'uid':'dns'},'app_name':'web','query':{'hostname':'api.example',"
		"'class':'IN','opcode_id':0,'opcode':'Query'},'status_detail':'dns_unasked',"
		"'unmapped':{'verdict':'deny'}}",
	},
	{
		"dns prefetched",
		"{'type':'dns','app':'web','action':'prefetched','name':'api.example',"
		"'addresses':['198.51.100.1'],'address_count':1,'ttl':300}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4003,"
		"'class_name':'DNS Activity','activity_id':6,'activity_name':'Traffic','type_uid':400306,"
		"'type_name':'DNS Activity: Traffic','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','disposition_id':1,'disposition':'Allowed','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'dns-prefetched','profiles':['host',"
		"'security_control']},'message':'dns-prefetched web api.example',"
		"'connection_info':{'direction_id':0,'direction':'Unknown'},"
		"'src_endpoint':{'hostname':'box'},'app_name':'web','query':{'hostname':'api.example',"
		"'class':'IN','opcode_id':0,'opcode':'Query'},'rcode_id':0,'rcode':'NoError',"
		"'answers':[{'rdata':'198.51.100.1','class':'IN','type':'A','ttl':300}],"
		"'unmapped':{'address_count':1,'ttl':300}}",
	},
	{
		"alert: relax",
		"{'type':'alert','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','action':'relax',"
		"'actor':'uid=0 pid=12 via=socket','cause':'incident','until':'2026-11-25T21:15:00Z'}",
		"{'category_uid':2,'category_name':'Findings','class_uid':2004,"
		"'class_name':'Detection Finding','activity_id':1,'activity_name':'Create','type_uid':200401,"
		"'type_name':'Detection Finding: Create','severity_id':4,'severity':'High','status_id':1,"
		"'status':'New','is_alert':true,'disposition_id':19,'disposition':'Alert','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'alert-relax','profiles':['host',"
		"'security_control'],'tags':[{'name':'team','value':'hr'}]},'actor':{'user':{'uid':'0'},"
		"'app_name':'socket','process':{'pid':12}},'message':'alert-relax web: incident',"
		"'finding_info':{'uid':'box-7-42','title':'alert-relax','created_time':1795640400123,"
		"'desc':'incident','data_sources':['egretd']},'resources':[{'name':'web',"
		"'type':'Application'}],'policy':{'name':'web','version':'3-ab'},"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'until':'2026-11-25T21:15:00Z'}}",
	},
	{
		"alert: its end",
		"{'type':'alert','app':'web','action':'relax_end','actor':'via=agent',"
		"'cause':'its time is over','until':null}",
		"{'category_uid':2,'category_name':'Findings','class_uid':2004,"
		"'class_name':'Detection Finding','activity_id':1,'activity_name':'Create','type_uid':200401,"
		"'type_name':'Detection Finding: Create','severity_id':2,'severity':'Low','status_id':1,"
		"'status':'New','disposition_id':17,'disposition':'Logged','action_id':1,'action':'Allowed',"
		"'metadata':{'event_code':'alert-relax-end','profiles':['host','security_control']},"
		"'actor':{'app_name':'agent'},'message':'alert-relax-end web: its time is over',"
		"'finding_info':{'uid':'box-7-42','title':'alert-relax-end','created_time':1795640400123,"
		"'desc':'its time is over','data_sources':['egretd']},'resources':[{'name':'web',"
		"'type':'Application'}],'policy':{'name':'web'},'unmapped':{'until':null}}",
	},
	{
		"alert: guard lost",
		"{'type':'alert','app':'web','action':'guard_lost','interface':'veth1'}",
		"{'category_uid':2,'category_name':'Findings','class_uid':2004,"
		"'class_name':'Detection Finding','activity_id':1,'activity_name':'Create','type_uid':200401,"
		"'type_name':'Detection Finding: Create','severity_id':4,'severity':'High','status_id':1,"
		"'status':'New','is_alert':true,'disposition_id':19,'disposition':'Alert','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'alert-guard-lost','profiles':['host',"
		"'security_control']},'message':'alert-guard-lost web','finding_info':{'uid':'box-7-42',"
		"'title':'alert-guard-lost','created_time':1795640400123,'data_sources':['egretd']},"
		"'resources':[{'name':'web','type':'Application'}],'policy':{'name':'web'},"
		"'unmapped':{'interface':'veth1'}}",
	},
	{
		"alert of a threshold",
		"{'type':'alert','app':'web','owner':'hr@example.com','ticket':'SEC-1',"
		"'labels':{'team':'hr'},'cgroup':'m.slice/web.scope','policy_rev':'3-ab','alert':'denied',"
		"'over':20,'value':31,'window_s':60,'from':'policy','action':'alert','audit':false}",
		"{'category_uid':2,'category_name':'Findings','class_uid':2004,"
		"'class_name':'Detection Finding','activity_id':1,'activity_name':'Create','type_uid':200401,"
		"'type_name':'Detection Finding: Create','severity_id':4,'severity':'High','status_id':1,"
		"'status':'New','is_alert':true,'disposition_id':19,'disposition':'Alert','action_id':1,"
		"'action':'Allowed','metadata':{'event_code':'alert-denied','profiles':['host',"
		"'security_control'],'tags':[{'name':'team','value':'hr'}]},'message':'alert-denied web',"
		"'finding_info':{'uid':'box-7-42','title':'alert-denied','created_time':1795640400123,"
		"'data_sources':['egretd'],'analytic':{'name':'denied','type_id':1,'type':'Rule'}},"
		"'resources':[{'name':'web','type':'Application'}],'policy':{'name':'web','version':'3-ab'},"
		"'unmapped':{'owner':'hr@example.com','ticket':'SEC-1','cgroup':'m.slice/web.scope',"
		"'over':20,'value':31,'window_s':60,'from':'policy','action':'alert','audit':false}}",
	},
	{
		"agent started",
		"{'type':'agent','action':'start','version':'0.1.0','adopted':true,'apps':3,'roots':1,"
		"'host_labels':{'region':'eu','a.b':'c'}}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':3,'activity_name':'Start',"
		"'type_uid':600203,'type_name':'Application Lifecycle: Start','severity_id':2,"
		"'severity':'Low','status_id':1,'status':'Success','metadata':{'event_code':'agent-start',"
		"'profiles':['host']},'message':'agent-start','app':{'name':'Egret','vendor_name':'Egret',"
		"'version':'" EG_VERSION "'},'unmapped':{'version':'0.1.0','adopted':true,'apps':3,'roots':1,"
		"'host_labels':{'region':'eu','a.b':'c'}}}",
	},
	{
		"agent stopped",
		"{'type':'agent','action':'stop'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':4,'activity_name':'Stop',"
		"'type_uid':600204,'type_name':'Application Lifecycle: Stop','severity_id':2,"
		"'severity':'Low','status_id':1,'status':'Success','metadata':{'event_code':'agent-stop',"
		"'profiles':['host']},'message':'agent-stop','app':{'name':'Egret','vendor_name':'Egret',"
		"'version':'" EG_VERSION "'}}",
	},
	{
		"agent read its configuration again",
		"{'type':'agent','action':'reload'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':99,'activity_name':'agent-reload',"
		"'type_uid':600299,'type_name':'Application Lifecycle: Other','severity_id':1,"
		"'severity':'Informational','status_id':1,'status':'Success',"
		"'metadata':{'event_code':'agent-reload','profiles':['host']},'message':'agent-reload',"
		"'app':{'name':'Egret','vendor_name':'Egret','version':'" EG_VERSION "'}}",
	},
	{
		"agent: tag",
		"{'type':'agent','app':'web','action':'tag','cgroup':'m.slice/x.scope',"
		"'actor':'uid=0 pid=12 via=socket','state':'enforce'}",
		"{'category_uid':3,'category_name':'Identity & Access Management','class_uid':3004,"
		"'class_name':'Entity Management','activity_id':3,'activity_name':'Update','type_uid':300403,"
		"'type_name':'Entity Management: Update','severity_id':1,'severity':'Informational',"
		"'status_id':1,'status':'Success','metadata':{'event_code':'agent-tag','profiles':['host']},"
		"'actor':{'user':{'uid':'0'},'app_name':'socket','process':{'pid':12}},"
		"'message':'agent-tag web','entity':{'name':'m.slice/x.scope','type':'cgroup'},"
		"'unmapped':{'app':'web','state':'enforce'}}",
	},
	{
		"agent: ambiguous cgroup",
		"{'type':'agent','action':'ambiguous_cgroup','cgroup':'m.slice/x.scope','verdict':'deny'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6008,"
		"'class_name':'Application Error','activity_id':1,'activity_name':'General Error',"
		"'type_uid':600801,'type_name':'Application Error: General Error','severity_id':3,"
		"'severity':'Medium','metadata':{'event_code':'agent-ambiguous-cgroup','profiles':['host']},"
		"'message':'agent-ambiguous-cgroup','unmapped':{'cgroup':'m.slice/x.scope','verdict':'deny'}}",
	},
	{
		"agent: foreign sockets cut",
		"{'type':'agent','action':'cut_foreign_sockets','cgroup':'m.slice/x.scope','sockets':2}",
		"{'category_uid':4,'category_name':'Network Activity','class_uid':4001,"
		"'class_name':'Network Activity','activity_id':3,'activity_name':'Reset','type_uid':400103,"
		"'type_name':'Network Activity: Reset','severity_id':3,'severity':'Medium','status_id':1,"
		"'status':'Success','disposition_id':21,'disposition':'Reset','action_id':2,"
		"'action':'Denied','metadata':{'event_code':'agent-cut-foreign-sockets','profiles':['host',"
		"'security_control']},'message':'agent-cut-foreign-sockets',"
		"'connection_info':{'direction_id':0,'direction':'Unknown'},"
		"'src_endpoint':{'hostname':'box'},'unmapped':{'cgroup':'m.slice/x.scope','sockets':2}}",
	},
	{
		"agent: attached again",
		"{'type':'agent','action':'reattach','root':'m.slice','cause':'it was removed','ok':false}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':99,'activity_name':'agent-reattach',"
		"'type_uid':600299,'type_name':'Application Lifecycle: Other','severity_id':3,"
		"'severity':'Medium','status_id':2,'status':'Failure',"
		"'metadata':{'event_code':'agent-reattach','profiles':['host']},"
		"'message':'agent-reattach: it was removed','status_detail':'it was removed',"
		"'app':{'name':'Egret','vendor_name':'Egret','version':'" EG_VERSION "'},'unmapped':{'root':'m.slice',"
		"'ok':false}}",
	},
	{
		"agent: log recovered",
		"{'type':'agent','event':'log_recovered','error':'No space left on device',"
		"'duration_ms':1500}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6008,"
		"'class_name':'Application Error','activity_id':1,'activity_name':'General Error',"
		"'type_uid':600801,'type_name':'Application Error: General Error','severity_id':3,"
		"'severity':'Medium','metadata':{'event_code':'agent-log-recovered','profiles':['host']},"
		"'duration':1500,'message':'agent-log-recovered','status_detail':'No space left on device'}",
	},
	{
		"agent: snapshot",
		"{'type':'agent','app':'web','action':'snapshot','file':'/var/lib/egret/snapshots/web-1.json'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6002,"
		"'class_name':'Application Lifecycle','activity_id':99,'activity_name':'agent-snapshot',"
		"'type_uid':600299,'type_name':'Application Lifecycle: Other','severity_id':1,"
		"'severity':'Informational','status_id':1,'status':'Success',"
		"'metadata':{'event_code':'agent-snapshot','profiles':['host']},'message':'agent-snapshot web',"
		"'app':{'name':'Egret','vendor_name':'Egret','version':'" EG_VERSION "'},"
		"'unmapped':{'app':'web','file':'/var/lib/egret/snapshots/web-1.json'}}",
	},
	{
		"agent: snapshot failed",
		"{'type':'agent','app':'web','action':'snapshot_failed','error':'No space left on device'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6008,"
		"'class_name':'Application Error','activity_id':1,'activity_name':'General Error',"
		"'type_uid':600801,'type_name':'Application Error: General Error','severity_id':3,"
		"'severity':'Medium','metadata':{'event_code':'agent-snapshot-failed','profiles':['host']},"
		"'message':'agent-snapshot-failed web','status_detail':'No space left on device',"
		"'unmapped':{'app':'web'}}",
	},
	{
		"suppressed",
		"{'type':'suppressed','app':'web','cause':'event_budget','events':40,'flow_events':30,"
		"'flow_ends':10,'deny_events':10,'bytes_out':1,'bytes_in':2,'packets_out':3,'packets_in':4,"
		"'denied_bytes':5}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6008,"
		"'class_name':'Application Error','activity_id':1,'activity_name':'General Error',"
		"'type_uid':600801,'type_name':'Application Error: General Error','severity_id':3,"
		"'severity':'Medium','metadata':{'event_code':'suppressed','profiles':['host']},"
		"'message':'suppressed web: event_budget','status_detail':'event_budget','count':40,"
		"'unmapped':{'app':'web','flow_events':30,'flow_ends':10,'deny_events':10,'bytes_out':1,"
		"'bytes_in':2,'packets_out':3,'packets_in':4,'denied_bytes':5}}",
	},
	{
		"lost",
		"{'type':'lost','app':'web','cause':'ring_full','events':40,'flow_events':30,'flow_ends':10,"
		"'deny_events':10,'bytes_out':1,'bytes_in':2,'packets_out':3,'packets_in':4,'denied_bytes':5}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6008,"
		"'class_name':'Application Error','activity_id':1,'activity_name':'General Error',"
		"'type_uid':600801,'type_name':'Application Error: General Error','severity_id':3,"
		"'severity':'Medium','metadata':{'event_code':'lost','profiles':['host']},"
		"'message':'lost web: ring_full','status_detail':'ring_full','count':40,"
		"'unmapped':{'app':'web','flow_events':30,'flow_ends':10,'deny_events':10,'bytes_out':1,"
		"'bytes_in':2,'packets_out':3,'packets_in':4,'denied_bytes':5}}",
	},
	{
		"lost: deleted by the quota",
		"{'type':'lost','cause':'quota','events':40,'log_bytes':9000,'segments':1,"
		"'first_event_id':'box-7-1','last_event_id':'box-7-40'}",
		"{'category_uid':6,'category_name':'Application Activity','class_uid':6008,"
		"'class_name':'Application Error','activity_id':1,'activity_name':'General Error',"
		"'type_uid':600801,'type_name':'Application Error: General Error','severity_id':3,"
		"'severity':'Medium','metadata':{'event_code':'lost','profiles':['host']},"
		"'message':'lost: quota','status_detail':'quota','count':40,'unmapped':{'log_bytes':9000,"
		"'segments':1,'first_event_id':'box-7-1','last_event_id':'box-7-40'}}",
	},
	{
		"a type that is not known yet",
		"{'type':'novel','app':'web','weight':1.5,'parts':[1,'a',{'b':null}]}",
		"{'category_uid':0,'category_name':'Uncategorized','class_uid':0,'class_name':'Base Event',"
		"'activity_id':99,'activity_name':'novel','type_uid':99,'type_name':'Base Event: Other',"
		"'severity_id':1,'severity':'Informational','metadata':{'event_code':'novel',"
		"'profiles':['host']},'message':'novel web','unmapped':{'app':'web','weight':1.5,'parts':[1,"
		"'a',{'b':null}]}}",
	},
};

#endif
