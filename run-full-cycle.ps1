#requires -Version 5.1
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false
& (Join-Path $PSScriptRoot 'lifeos.ps1') run-full-cycle @args
exit $LASTEXITCODE
