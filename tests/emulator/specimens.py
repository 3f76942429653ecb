# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole objects: every child that the vendor's help documents for each entity that names a certificate, and some
that it does not. For configurations (``objects``) and for tests of what survives a change.

What depends on another choice (the preshared key of a connection with a certificate) is left out, as the help says.
"""

from __future__ import annotations

__all__ = ["INVENTED", "SPECIMENS", "specimen"]

# As a firmware that nobody knows yet might add them: plain, nested with an attribute, empty.
INVENTED = (
    "<NewSwitch>Enable</NewSwitch>"
    '<NewBlock kind="a &quot;b&quot;"><Entry>1 &amp; 2</Entry><Entry>Grüße &lt;3</Entry></NewBlock>'
    "<NewEmpty />"
)
_IDENTITIES = (
    "<LocalIDType>DNS</LocalIDType><LocalID>vpn.example.com</LocalID>"
    "<RemoteIDType>Email</RemoteIDType><RemoteID>peer@example.com</RemoteID>"
)

SPECIMENS = {
    "FirewallRule": """
<FirewallRule><Name>Specimen rule</Name><Description>every child</Description><Status>Enable</Status>
 <IPFamily>IPv4</IPFamily><Position>Bottom</Position><PolicyType>HTTPBased</PolicyType>
 <HTTPBasedPolicy><HostedAddress>#Port2</HostedAddress><HTTPS>Enable</HTTPS><RedirectHTTP>Disable</RedirectHTTP>
  <ListenPort>8443</ListenPort>
  <Domains><Domain>specimen.example.com</Domain><Domain>*.specimen.example.com</Domain></Domains>
  <SourceNetworks><Network>Any</Network></SourceNetworks>
  <ExceptionNetworks><Network>Bad networks</Network></ExceptionNetworks>
  <AccessPaths>
   <AccessPath><path>/access</path><backend>server1</backend><backend>server2</backend>
    <auth_profile>profile1</auth_profile><allowed_networks>Good networks</allowed_networks>
    <denied_networks>Bad networks</denied_networks><blocked_countries>AQ</blocked_countries>
    <block_unknown_country>0</block_unknown_country><stickysession_status>1</stickysession_status>
    <hot_standby>0</hot_standby><websocket_passthrough>1</websocket_passthrough></AccessPath>
   <AccessPath><path>/</path><backend>server1</backend></AccessPath>
  </AccessPaths>
  <Exceptions><Exception><path>psql</path><op>and</op><source>Good networks</source>
   <skip_threats_filter_categories>application_attacks</skip_threats_filter_categories>
   <skipav>1</skipav><skipbadclients>0</skipbadclients><skipcookie>1</skipcookie><skipform>0</skipform>
   <skipurl>1</skipurl><skiphtmlrewrite>0</skiphtmlrewrite><skipform_missingtoken>0</skipform_missingtoken>
  </Exception></Exceptions>
  <ProtocolSecurity>Default</ProtocolSecurity><CompressionSupport>Disable</CompressionSupport>
  <RewriteHTML>Enable</RewriteHTML><RewriteCookies>Enable</RewriteCookies><PassHostHeader>Enable</PassHostHeader>
  <IntrusionPrevention>None</IntrusionPrevention><TrafficShapingPolicy>None</TrafficShapingPolicy>
  <Certificate>@CERTIFICATE@</Certificate>@INVENTED@</HTTPBasedPolicy></FirewallRule>""",
    "AdminSettings": """
<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443</UserPortalHTTPSPort>
 <VPNPortalHTTPSPort>443</VPNPortalHTTPSPort><Certificate>@CERTIFICATE@</Certificate>
 <PortalRedirectMode>custom</PortalRedirectMode><PortalCustomHostname>portal.example.com</PortalCustomHostname>
 @INVENTED@</WebAdminSettings></AdminSettings>""",
    "SSLTunnelAccessSettings": """
<SSLTunnelAccessSettings><Protocol>TCP</Protocol><SSLServerCertificate>@CERTIFICATE@</SSLServerCertificate>
 <OverrideHostName>vpn.example.com</OverrideHostName><Port>8443</Port>
 <IPLeaseRange><StartIP>10.81.234.5</StartIP><EndIP>10.81.234.55</EndIP></IPLeaseRange>
 <SubnetMask>255.255.255.0</SubnetMask><IPv6Lease /><IPv6Prefix /><LeaseMode>IPv4</LeaseMode>
 <PrimaryDNSIPv4>192.0.2.1</PrimaryDNSIPv4><SecondaryDNSIPv4>192.0.2.2</SecondaryDNSIPv4>
 <PrimaryWINSIPv4>192.0.2.3</PrimaryWINSIPv4><SecondaryWINSIPv4>192.0.2.4</SecondaryWINSIPv4>
 <DomainName>example.com</DomainName><DisconnectDeadPeerAfter>180</DisconnectDeadPeerAfter>
 <DisconnectIdlePeerAfter>15</DisconnectIdlePeerAfter><EncryptionAlgorithm>AES-256-GCM</EncryptionAlgorithm>
 <AuthenticationAlgorithm>SHA256</AuthenticationAlgorithm><Keysize>2048bit</Keysize>
 <KeyLifetime>28800</KeyLifetime><CompressSSLVPNTraffic>Disable</CompressSSLVPNTraffic>
 <DebugMode>Disable</DebugMode><SecurityHeartbeat>Enable</SecurityHeartbeat><SaveCredential>Disable</SaveCredential>
 <TwoFAToken>Enable</TwoFAToken><AdLogon>Disable</AdLogon><AutoConnect>Enable</AutoConnect>
 <HostorDNSName>inside.example.com</HostorDNSName><StaticIPAddresses>Disable</StaticIPAddresses>
 @INVENTED@</SSLTunnelAccessSettings>""",
    "EmailConfiguration": """
<EmailConfiguration>
 <GeneralSettings><EmailSignature>This is a "signature" &amp; more</EmailSignature>
  <EmailBannerMode>MIME part</EmailBannerMode></GeneralSettings>
 <SMTPSSettings><DontScanEmailsGreaterThan>1024</DontScanEmailsGreaterThan>
  <ActionForOversizeEmails>Drop</ActionForOversizeEmails><BypassSpamCheck>Enable</BypassSpamCheck>
  <VerifySendersIPReputation>Enable</VerifySendersIPReputation><SMTPSDosSettings>Enable</SMTPSDosSettings>
  <ConfirmSpamAction>Accept</ConfirmSpamAction><ProbableSpamAction>Accept</ProbableSpamAction>
  <MaximumConnections>5000</MaximumConnections><MaximumConnectionsHost>100</MaximumConnectionsHost>
  <MaximumEmailsConnection>1000</MaximumEmailsConnection><MaximumRecepientsEmail>100</MaximumRecepientsEmail>
  <EmailsRate>1000</EmailsRate><ConnectionsRate>100</ConnectionsRate></SMTPSSettings>
 <POPIMAPSettings><DontScanEmailsGreaterThan>1024</DontScanEmailsGreaterThan><RecipientHeaders>
  <Header>Delivered-To</Header><Header>Received</Header><Header>X-RCPT-TO</Header></RecipientHeaders></POPIMAPSettings>
 <SMTPTLSConfiguration><TLSCertificate>@CERTIFICATE@</TLSCertificate>
  <AllowInvalidCertificate>Enable</AllowInvalidCertificate><RequireTLSWithHost>partner</RequireTLSWithHost>
  <RequireTLSWithSenderDomain>example.com</RequireTLSWithSenderDomain><SkipTLSHosts>old</SkipTLSHosts>
  <SkipTLSHosts>older</SkipTLSHosts><DisableTLS1>Enable</DisableTLS1>@INVENTED@</SMTPTLSConfiguration>
 <POPSIMAPTLSConfiguration><TLSCertificate>@CERTIFICATE@</TLSCertificate>
  <AllowInvalidCertificate>Disable</AllowInvalidCertificate><DisableTLS1>Enable</DisableTLS1>
  @INVENTED@</POPSIMAPTLSConfiguration>@INVENTED@</EmailConfiguration>""",
    "AdvancedConfiguration": """
<AdvancedConfiguration><LoginPageCertificate><Certificate>@CERTIFICATE@</Certificate></LoginPageCertificate>
 <GeneralVoucherOptions><DeleteOption>Enable</DeleteOption>
  <DeleteExpiredVouchersAfter>30</DeleteExpiredVouchersAfter></GeneralVoucherOptions>
 <WalledGarden><AllowedNetworks>Good networks</AllowedNetworks><AllowedNetworks>#Port1</AllowedNetworks></WalledGarden>
 @INVENTED@</AdvancedConfiguration>""",
    "SophosConnectClient": f"""
<SophosConnectClient><SophosConnectClientConfiguration>Enable</SophosConnectClientConfiguration>
 <Name>Roadwarriors</Name><Interface>Port2</Interface><AliasInterface>Port2</AliasInterface>
 <PolicyID>DefaultRemoteAccess</PolicyID><AuthenticationType>DigitalCertificate</AuthenticationType>
 <LocalCertificate>@CERTIFICATE@</LocalCertificate><RemoteCertificate>ApplianceCertificate</RemoteCertificate>
 {_IDENTITIES}<AllowedUsers><User>anne</User><User>bob</User></AllowedUsers>
 <AssignIP><StartIP>10.82.0.1</StartIP><EndIP>10.82.0.99</EndIP></AssignIP>
 <LeaseIPFromRadiusServer>Disable</LeaseIPFromRadiusServer><DNSServer1>192.0.2.1</DNSServer1>
 <DNSServer2>192.0.2.2</DNSServer2><DisconnectOnIdleInterval>600</DisconnectOnIdleInterval>
 <SecurityHeartbeat>Enable</SecurityHeartbeat><SaveCredential>Disable</SaveCredential><TwoFAToken>Enable</TwoFAToken>
 <AdLogon>Disable</AdLogon><AutoConnect>Enable</AutoConnect><HostorDNSName>inside.example.com</HostorDNSName>
 <AssignDNS>Enable</AssignDNS><DomainName>example.com</DomainName><DefaultGateway>Disable</DefaultGateway>
 <PermittedNetworkResourcesIPv4><Resource>Host1</Resource><Resource>Host2</Resource></PermittedNetworkResourcesIPv4>
 @INVENTED@</SophosConnectClient>""",
    "VPNIPSecConnection": f"""
<VPNIPSecConnection><Configuration><Name>Branch</Name><Description>every child</Description>
 <ConnectionType>SiteToSite</ConnectionType><Policy>DefaultHeadOffice</Policy>
 <ActionOnVPNRestart>RespondOnly</ActionOnVPNRestart><AuthenticationType>DigitalCertificate</AuthenticationType>
 <LocalCertificate>@CERTIFICATE@</LocalCertificate><RemoteCertificate>ExternalCertificate</RemoteCertificate>
 <SubnetFamily>IPv4</SubnetFamily><EndpointFamily>IPv4</EndpointFamily><LocalWANPort>Port2</LocalWANPort>
 <AliasLocalWANPort>Port2</AliasLocalWANPort><RemoteHost>branch.example.com</RemoteHost>
 <LocalSubnet>Head office</LocalSubnet><LocalSubnet>Head office DMZ</LocalSubnet><NATedLAN>None</NATedLAN>
 {_IDENTITIES}<AllowNATTraversal>Enable</AllowNATTraversal>
 <RemoteNetwork><Network>Branch network</Network><Network>Branch DMZ</Network></RemoteNetwork>
 <UserAuthenticationMode>AsServer</UserAuthenticationMode><AllowedUser><User>anne</User><User>bob</User></AllowedUser>
 <Protocol>ALL</Protocol><LocalPort>*</LocalPort><RemotePort>*</RemotePort>
 <DisconnectOnIdleInterval>600</DisconnectOnIdleInterval><Status>Active</Status>
 @INVENTED@</Configuration></VPNIPSecConnection>""",
    "L2TPConnection": f"""
<L2TPConnection><Configuration><Name>Roadwarriors_L2TP</Name><Description>every child</Description>
 <Policy>DefaultL2TP</Policy><ActionOnVPNRestart>RespondOnly</ActionOnVPNRestart>
 <AuthenticationType>DigitalCertificate</AuthenticationType><LocalCertificate>@CERTIFICATE@</LocalCertificate>
 <LocalWANPort>Port2</LocalWANPort><AliasLocalWANPort>Port2</AliasLocalWANPort>{_IDENTITIES}
 <RemoteHost>*</RemoteHost><AllowNATTraversal>Enable</AllowNATTraversal>
 <RemoteLANNetwork><Network>Home office</Network></RemoteLANNetwork><LocalPort>1701</LocalPort>
 <RemotePort>*</RemotePort><DisconnectOnIdleInterval>600</DisconnectOnIdleInterval>
 @INVENTED@</Configuration></L2TPConnection>""",
}


def specimen(entity: str, certificate: str = "ApplianceCertificate", invented: bool = True) -> str:
    """The object as XML, with this certificate wherever it names one. The name must need no escaping."""
    xml = SPECIMENS[entity].replace("@CERTIFICATE@", certificate)
    return xml.replace("@INVENTED@", INVENTED if invented else "").strip()
