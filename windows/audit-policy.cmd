@echo off
rem NOT TESTED ON WINDOWS by its makers. Read it before you run it; run it on one machine first.
rem The audit policy of ONE machine, as an administrator. For a domain use the group policy in docs/windows-pack.md instead:
rem a group policy wins over what is set here.
rem Subcategories by their numbers, so that it works in every language. "auditpol /list /subcategory:* /v" shows their names.
rem Undo: auditpol /restore /file:"%ProgramData%\chartward-audit-before.csv"

if not exist "%ProgramData%\chartward-audit-before.csv" auditpol /backup /file:"%ProgramData%\chartward-audit-before.csv"

rem Subcategories win over the nine old categories.
reg add "HKLM\SYSTEM\CurrentControlSet\Control\Lsa" /v SCENoApplyLegacyAuditPolicy /t REG_DWORD /d 1 /f

rem Logon, Logoff, Special Logon, Other Logon/Logoff Events, Account Lockout
auditpol /set /subcategory:"{0CCE9215-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE9216-69AE-11D9-BED3-505054503030}" /success:enable
auditpol /set /subcategory:"{0CCE921B-69AE-11D9-BED3-505054503030}" /success:enable
auditpol /set /subcategory:"{0CCE921C-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE9217-69AE-11D9-BED3-505054503030}" /failure:enable
rem Credential Validation, Kerberos Authentication Service, Kerberos Service Ticket Operations
auditpol /set /subcategory:"{0CCE923F-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE9242-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE9240-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
rem User Account Management, Security Group Management
auditpol /set /subcategory:"{0CCE9235-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE9237-69AE-11D9-BED3-505054503030}" /success:enable
rem Process Creation
auditpol /set /subcategory:"{0CCE922B-69AE-11D9-BED3-505054503030}" /success:enable
rem Security State Change, Security System Extension
auditpol /set /subcategory:"{0CCE9210-69AE-11D9-BED3-505054503030}" /success:enable
auditpol /set /subcategory:"{0CCE9211-69AE-11D9-BED3-505054503030}" /success:enable
rem Audit Policy Change
auditpol /set /subcategory:"{0CCE922F-69AE-11D9-BED3-505054503030}" /success:enable
rem Other Object Access Events (scheduled tasks), File Share, Detailed File Share
auditpol /set /subcategory:"{0CCE9227-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE9224-69AE-11D9-BED3-505054503030}" /success:enable
auditpol /set /subcategory:"{0CCE9244-69AE-11D9-BED3-505054503030}" /success:enable
rem Kernel Object (LSASS), Registry (only where keys carry an audit entry)
auditpol /set /subcategory:"{0CCE921F-69AE-11D9-BED3-505054503030}" /success:enable /failure:enable
auditpol /set /subcategory:"{0CCE921E-69AE-11D9-BED3-505054503030}" /success:enable

rem The command line in 4688. Passwords that people type there are then in the log: docs/windows-pack.md.
reg add "HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Audit" /v ProcessCreationIncludeCmdLine_Enabled /t REG_DWORD /d 1 /f
rem PowerShell: script blocks (4104) and what commands were given (4103)
reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ScriptBlockLogging" /v EnableScriptBlockLogging /t REG_DWORD /d 1 /f
reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ModuleLogging" /v EnableModuleLogging /t REG_DWORD /d 1 /f
reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ModuleLogging\ModuleNames" /v "*" /t REG_SZ /d "*" /f

rem Channels that are off, and sizes: a guesser fills 20 MB within hours. Bytes.
wevtutil sl Microsoft-Windows-TaskScheduler/Operational /e:true /ms:33554432
wevtutil sl Security /ms:1073741824
wevtutil sl System /ms:134217728
wevtutil sl Microsoft-Windows-PowerShell/Operational /ms:268435456
wevtutil sl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational /e:true /ms:67108864
wevtutil sl Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational /e:true /ms:67108864
wevtutil sl Microsoft-Windows-TerminalServices-LocalSessionManager/Operational /e:true /ms:67108864

rem The forwarder reads the Security log as Network Service.
net localgroup "Event Log Readers" "NT AUTHORITY\NETWORK SERVICE" /add 2>nul || powershell -NoProfile -Command "Add-LocalGroupMember -SID S-1-5-32-573 -Member S-1-5-20 -ErrorAction SilentlyContinue"
