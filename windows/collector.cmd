@echo off
rem NOT TESTED ON WINDOWS by its makers. Read it before you run it.
rem The collector: one Windows Server of the domain that all others send to. As an administrator, beside subscription.xml.
rem Undo: wecutil ds Chartward

winrm quickconfig -quiet
wecutil qc /quiet:true
rem 4 GB, on a disk of its own where there is one: a day of 300 machines.
wevtutil sl ForwardedEvents /ms:4294967296
wecutil cs "%~dp0subscription.xml"
wecutil gs Chartward
wecutil gr Chartward
rem Windows Server 2016 and 2019 put both services into one process that may not share the address: a known trouble of event 10128.
rem   netsh http delete urlacl url=http://+:5985/wsman/
rem   netsh http add urlacl url=http://+:5985/wsman/ sddl=D:(A;;GX;;;S-1-5-80-569256582-2953403351-2909559716-1301513147-412116970)(A;;GX;;;S-1-5-80-4059739203-877974739-1245631912-527174227-2996563517)
