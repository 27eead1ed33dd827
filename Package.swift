// swift-tools-version:6.0
import Foundation
import PackageDescription

// oneDNN is taken from .deps/onednn (put there by build.sh) or from the system; MARTLET_ONEDNN=0 builds without it.
let root = Context.packageDirectory
let fetched = root + "/.deps/onednn"
let hasFetched = FileManager.default.fileExists(atPath: fetched + "/include/dnnl.h")
let hasSystem = FileManager.default.fileExists(atPath: "/usr/include/dnnl.h")
let useOneDNN = Context.environment["MARTLET_ONEDNN"] != "0" && (hasFetched || hasSystem)

// Unsafe flags stand only in a checkout that build.sh prepared: packages that depend on Martlet never see them.
let headers: [SwiftSetting] = useOneDNN && hasFetched ? [.unsafeFlags(["-Xcc", "-I" + fetched + "/include"])] : []
let library: [LinkerSetting] =
    useOneDNN && hasFetched
    ? [
        .unsafeFlags(
            ["-L" + fetched + "/lib"]
                + ["$ORIGIN", "$ORIGIN/../../../.deps/onednn/lib"].flatMap { ["-Xlinker", "-rpath", "-Xlinker", $0] })
    ] : []
let settings: [SwiftSetting] = [.swiftLanguageMode(.v6)] + headers
let engine = settings + (useOneDNN ? [.define("ONEDNN")] : [])

let package = Package(
    name: "martlet",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .library(name: "Martlet", targets: ["Martlet"]),
        .library(name: "martlet-c", type: .dynamic, targets: ["CInterface"]),
    ],
    targets: [
        .target(name: "MIL", swiftSettings: settings),
        .target(name: "Passes", dependencies: ["MIL"], swiftSettings: settings),
        .target(name: "ModelFiles", dependencies: ["MIL"], swiftSettings: settings),
        .target(name: "Runtime", dependencies: ["MIL", "Passes"], swiftSettings: settings),
        .target(name: "CKernels", cSettings: hasFetched ? [.unsafeFlags(["-O3"])] : []),
        .target(
            name: "CPUEngine", dependencies: ["Runtime", "MIL", "Passes", "CKernels"] + (useOneDNN ? ["COneDNN"] : []),
            swiftSettings: engine, linkerSettings: library),
        .target(name: "MetalEngine", dependencies: ["Runtime", "MIL"], swiftSettings: settings),
        .target(name: "CoreMLEngine", dependencies: ["Runtime", "MIL", "ModelFiles"], swiftSettings: settings),
        .target(
            name: "Martlet",
            dependencies: ["MIL", "Passes", "ModelFiles", "Runtime", "CPUEngine", "MetalEngine", "CoreMLEngine"],
            swiftSettings: settings),
        .target(name: "CHeader"),
        .target(name: "CInterface", dependencies: ["Martlet", "CHeader"], swiftSettings: settings),
        .testTarget(name: "MILTests", dependencies: ["MIL"], path: "tests/swift/MILTests", swiftSettings: settings),
        .target(
            name: "FakeDevice", dependencies: ["Runtime", "MIL"], path: "tests/swift/FakeDevice", swiftSettings: settings),
        .testTarget(
            name: "MartletTests", dependencies: ["Martlet", "Passes", "FakeDevice"], path: "tests/swift/MartletTests",
            swiftSettings: settings),
        .testTarget(
            name: "CInterfaceTests", dependencies: ["CInterface", "CHeader", "FakeDevice"],
            path: "tests/swift/CInterfaceTests", swiftSettings: settings),
        .testTarget(
            name: "ModelFilesTests", dependencies: ["ModelFiles", "MIL"], path: "tests/swift/ModelFilesTests",
            exclude: ["data"], swiftSettings: settings),
    ]
        + (useOneDNN ? [.systemLibrary(name: "COneDNN")] : [])
)
