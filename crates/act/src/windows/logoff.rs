//! Logging off whoever is in: a block keeps the next session out, not the one on the screen.

use super::{Logoff, array, head};

const WORDS: &[&str] = &[
    "Logs off every session of the named accounts on this machine. A person has to agree to each.",
    "THERE IS NO UNDO: what was not saved is lost. Note what is on the screen first, if it is evidence.",
    "No account is disabled and no password changed: failures alone are no reason, and a person decides that.",
    "Your own session and the services' session are never logged off.",
];

const BODY: &str = r#"
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2.0
$ownSession = [Diagnostics.Process]::GetCurrentProcess().SessionId

# What is known of the sessions is kept before any of them ends.
$folder = Join-Path $env:ProgramData 'Chartward'
New-Item -ItemType Directory -Force -Path $folder | Out-Null
$stamp = [DateTimeOffset]::UtcNow.ToString('yyyyMMddHHmmss', [Globalization.CultureInfo]::InvariantCulture)
$quser = Join-Path $env:SystemRoot 'System32\quser.exe'
$logoff = Join-Path $env:SystemRoot 'System32\logoff.exe'
$listing = @(& $quser | ForEach-Object { $_.ToString() })
$listing | Set-Content -Encoding UTF8 -Path (Join-Path $folder "sessions-$stamp.txt")
Get-NetTCPConnection -State Established -ErrorAction SilentlyContinue |
    Select-Object -Property @('LocalAddress', 'LocalPort', 'RemoteAddress', 'RemotePort', 'OwningProcess', 'CreationTime') |
    Export-Csv -NoTypeInformation -Encoding UTF8 -Path (Join-Path $folder "connections-$stamp.csv")

$found = 0
foreach ($line in $listing) {
    # Column heads differ by language; a session is a line with a name and a number.
    if ($line -notmatch '^[ >](?<user>\S+)\s+(?:(?<session>[^\s\d]\S*)\s+)?(?<id>\d+)\s') { continue }
    $user = $Matches['user']
    $id = [int]$Matches['id']
    if (-not ($Accounts -contains $user)) { continue }
    if ($id -eq 0 -or $id -eq $ownSession) {
        Write-Warning ('left alone: session ' + $id + ' of ' + $user)
        continue
    }
    $found++
    if ($PSCmdlet.ShouldProcess(('session ' + $id + ' of ' + $user), 'log off; what is not saved is lost')) {
        & $logoff $id
        if ($LASTEXITCODE -ne 0) { Write-Warning ('session ' + $id + ' could not be logged off') }
    }
}
Write-Output ('Sessions found: ' + $found + '. Listed in ' + $folder)
"#;

pub(super) fn script(what: &Logoff<'_>, quoted: &[String]) -> String {
    let mut text = String::new();
    head(&mut text, "Log off.", what.now, WORDS);
    text.push_str("[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]\nparam()\n");
    array(&mut text, "Accounts", quoted.iter().cloned());
    text.push_str(BODY);
    text
}
