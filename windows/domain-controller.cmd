@echo off
rem NOT TESTED ON WINDOWS by its makers. Read it before you run it. On domain controllers only, after audit-policy.cmd.
rem NTLM of the whole domain, noted and not refused (8004): which accounts guess, and which machines still use NTLM.
reg add "HKLM\SYSTEM\CurrentControlSet\Services\Netlogon\Parameters" /v AuditNTLMInDomain /t REG_DWORD /d 7 /f
wevtutil sl Microsoft-Windows-NTLM/Operational /e:true /ms:134217728
rem Undo: reg delete "HKLM\SYSTEM\CurrentControlSet\Services\Netlogon\Parameters" /v AuditNTLMInDomain /f
