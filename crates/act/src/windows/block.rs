//! Blocking with the firewall of Windows, as a rotation: the new rules stand before the old ones go.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::{Block, array, head};

const WORDS: &[&str] = &[
    "Blocks addresses with the firewall of Windows for a time: inbound and outbound, all ports.",
    "Undo at once:  powershell -ExecutionPolicy Bypass -File THIS.ps1 -Undo",
    "Try out:       powershell -ExecutionPolicy Bypass -File THIS.ps1 -WhatIf",
    "It ends by itself: a scheduled task is registered before anything is blocked.",
    "Addresses of the allow-list, of this machine, its gateways and its name servers are left out.",
    "Block rules win over allow rules here, so that the allow-list can only be kept by leaving out.",
    "Sessions that stand: new packets are judged anew, but log off whoever is in with the log-off script.",
];

/// What does not depend on whom it is about. No text from outside stands in it.
const BODY: &str = r#"
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2.0
$Group = 'Chartward shutout'
$TaskName = 'Chartward shutout end'
$ChunkSize = 500

function Test-InNetwork([System.Net.IPAddress]$Address, [string]$Network) {
    $parts = $Network.Split('/')
    $base = [System.Net.IPAddress]::Parse($parts[0])
    if ($base.AddressFamily -ne $Address.AddressFamily) { return $false }
    $a = $Address.GetAddressBytes()
    $b = $base.GetAddressBytes()
    $bits = [int]$parts[1]
    for ($i = 0; $i -lt $a.Length; $i++) {
        $left = $bits - 8 * $i
        if ($left -le 0) { break }
        $shift = [Math]::Max(0, 8 - $left)
        if (($a[$i] -shr $shift) -ne ($b[$i] -shr $shift)) { return $false }
    }
    return $true
}

function Remove-Block {
    Get-NetFirewallRule -Group $Group -ErrorAction SilentlyContinue | Remove-NetFirewallRule
    Get-ScheduledTask -TaskName $TaskName -ErrorAction SilentlyContinue | Unregister-ScheduledTask -Confirm:$false
}

if ($Undo) {
    if ($PSCmdlet.ShouldProcess($Group, 'remove all rules and the task')) { Remove-Block }
    Write-Output 'Nothing is blocked by chartward on this machine any more.'
    return
}
if ($AllowList.Count -eq 0) { throw 'The allow-list is empty: nothing is blocked.' }
$end = [DateTimeOffset]::Parse($Until, [Globalization.CultureInfo]::InvariantCulture)
if ($end -le [DateTimeOffset]::UtcNow) { throw 'The time of this script is over; make a new one.' }

$own = @()
$own += Get-NetIPAddress | ForEach-Object { $_.IPAddress.Split('%')[0] }
$own += Get-NetRoute -DestinationPrefix '0.0.0.0/0', '::/0' -ErrorAction SilentlyContinue | ForEach-Object { $_.NextHop }
$own += Get-DnsClientServerAddress | ForEach-Object { $_.ServerAddresses }
$wanted = @()
foreach ($text in $Addresses) {
    $address = [System.Net.IPAddress]::Parse($text)
    $spared = $own -contains $address.ToString()
    foreach ($network in $AllowList) { if (Test-InNetwork $address $network) { $spared = $true } }
    if ($spared) { Write-Warning ('left out: ' + $text) } else { $wanted += $address.ToString() }
}
if ($wanted.Count -eq 0) { throw 'Nothing is left to block.' }
if (-not $PSCmdlet.ShouldProcess(($wanted -join ', '), 'block')) { return }

# The end first: whatever happens to this script, nothing is blocked for longer.
$command = "Get-NetFirewallRule -Group '$Group' -ErrorAction SilentlyContinue | Remove-NetFirewallRule; " +
    "Unregister-ScheduledTask -TaskName '$TaskName' -Confirm:`$false"
$encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($command))
$action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument ('-NoProfile -NonInteractive -EncodedCommand ' + $encoded)
$trigger = New-ScheduledTaskTrigger -Once -At $end.LocalDateTime
$settings = New-ScheduledTaskSettingsSet -StartWhenAvailable -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
$principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
Register-ScheduledTask -TaskName $TaskName -Action $action -Trigger $trigger -Settings $settings -Principal $principal -Force | Out-Null

$old = @(Get-NetFirewallRule -Group $Group -ErrorAction SilentlyContinue)
$stamp = [DateTimeOffset]::UtcNow.ToString('yyyyMMddHHmmss', [Globalization.CultureInfo]::InvariantCulture)
try {
    for ($at = 0; $at -lt $wanted.Count; $at += $ChunkSize) {
        $last = [Math]::Min($at + $ChunkSize, $wanted.Count) - 1
        $chunk = @($wanted[$at..$last])
        foreach ($direction in 'Inbound', 'Outbound') {
            New-NetFirewallRule -Group $Group -DisplayName "Chartward shutout $stamp $at $direction" -Direction $direction `
                -Action Block -RemoteAddress $chunk -Profile Any -Enabled True -Description ('ends ' + $Until) | Out-Null
        }
    }
} catch {
    # Half of a rotation is none: what stood before still does.
    Get-NetFirewallRule -Group $Group -ErrorAction SilentlyContinue |
        Where-Object { $_.DisplayName -like "Chartward shutout $stamp *" } | Remove-NetFirewallRule
    throw
}
$old | Remove-NetFirewallRule
Write-Output ('Blocked until ' + $Until + ': ' + $wanted.Count + ' addresses. Undo: run this script with -Undo.')
"#;

pub(super) fn script(what: &Block<'_>, allowed: &[IpNet]) -> String {
    let mut text = String::new();
    head(&mut text, "Block.", what.now, WORDS);
    text.push_str("[CmdletBinding(SupportsShouldProcess = $true)]\nparam([switch]$Undo)\n");
    let lasts = SignedDuration::try_from(what.lasts).unwrap_or(SignedDuration::MAX);
    // Whole seconds: the shape that every version reads.
    let end = what.now.checked_add(lasts).unwrap_or(Timestamp::MAX).as_second();
    let end = Timestamp::from_second(end).unwrap_or(Timestamp::MAX);
    text.push_str(&format!("$Until = '{end}'\n"));
    let mut addresses: Vec<IpAddr> = what.addresses.iter().map(IpAddr::to_canonical).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // An address has digits, letters, dots and colons, whatever was given.
    array(&mut text, "Addresses", addresses.iter().map(|address| format!("'{address}'")));
    array(&mut text, "AllowList", allowed.iter().map(|network| format!("'{network}'")));
    text.push_str(BODY);
    text
}
