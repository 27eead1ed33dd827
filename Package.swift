// swift-tools-version:6.0
import Foundation
import PackageDescription

// MARTLET_ONEDNN says whether there is oneDNN: `fetched` (in .deps/onednn, put there by build.sh) or `0`.
// build.sh always sets it, since SwiftPM keeps what this file answered until its text or the environment changes.
let root = Context.packageDirectory
let fetched = root + "/.deps/onednn"
let hasFetched = FileManager.default.fileExists(atPath: fetched + "/include/dnnl.h")
let said = Context.environment["MARTLET_ONEDNN"].flatMap { ["fetched", "0"].contains($0) ? $0 : nil }
let oneDNN = said ?? (hasFetched ? "fetched" : "0")

// Unsafe flags stand only in a checkout that build.sh prepared: packages that depend on Martlet never see them.
let isPrepared = hasFetched || said == "fetched"
let headers: [SwiftSetting] = oneDNN == "fetched" ? [.unsafeFlags(["-Xcc", "-I" + fetched + "/include"])] : []
// The location is absolute, so that a program of a package that depends on this checkout finds it, too. An RPATH, unlike
// a RUNPATH, holds for what oneDNN itself needs.
let rpaths: [String] =
    ["$ORIGIN", fetched + "/lib"].flatMap { ["-Xlinker", "-rpath", "-Xlinker", $0] }
    + ["-Xlinker", "--disable-new-dtags"]
let library: [LinkerSetting] = oneDNN == "fetched" ? [.unsafeFlags(["-L" + fetched + "/lib"] + rpaths)] : []
let settings: [SwiftSetting] = [.swiftLanguageMode(.v6)] + headers

// Stand-ins for Apple's frameworks, with which their two engines are built and run on Linux: only where a test asks for
// them, in a build folder of its own. A plain build has none of these targets.
#if os(Linux)
    let hasShims = Context.environment["MARTLET_SHIMS"] == "1"
#else
    let hasShims = false
#endif
func shim(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(
        name: name, dependencies: dependencies + (name == "ShimControl" ? [] : ["ShimControl"]),
        path: "tests/shims/" + name, swiftSettings: [.swiftLanguageMode(.v6)])
}
let shims: [Target] =
    hasShims
    ? [
        shim("ShimControl", []), shim("CoreVideo", []), shim("Metal", ["MSL", "Runtime", "MIL"]),
        shim("MetalPerformanceShaders", ["Metal"]),
        shim(
            "MetalPerformanceShadersGraph",
            ["MetalPerformanceShaders", "Metal", "MIL", "Passes", "Runtime", "CPUEngine"]),
        shim("CoreML", ["CoreVideo", "Metal", "MIL", "Passes", "Runtime", "ModelFiles", "CPUEngine"]),
    ] : []
let metal: [Target.Dependency] =
    hasShims ? ["Metal", "MetalPerformanceShaders", "MetalPerformanceShadersGraph"] : []
let coreML: [Target.Dependency] = hasShims ? ["CoreML", "CoreVideo", "Metal"] : []

// Each with its type: Swift 6.0 takes minutes over one long expression.
let engine: [SwiftSetting] = settings + (oneDNN != "0" ? [.define("ONEDNN")] : [])
let language: [SwiftSetting] = settings + (hasShims ? [.define("MARTLET_SHIMS")] : [])
let kernels: [CSetting] = isPrepared ? [.unsafeFlags(["-O3"])] : []
let oneDNNModule: [Target.Dependency] = oneDNN != "0" ? ["COneDNN"] : []
let portable: [Target.Dependency] = ["Runtime", "MIL", "Passes"]

let package = Package(
    name: "martlet",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .library(name: "Martlet", targets: ["Martlet"]),
        .library(name: "martlet-c", type: .dynamic, targets: ["CInterface"]),
    ],
    targets: [
        .target(name: "MIL", swiftSettings: language),
        .target(name: "Passes", dependencies: ["MIL"], swiftSettings: settings),
        .target(name: "ModelFiles", dependencies: ["MIL", "Passes"], swiftSettings: settings),
        .target(name: "Runtime", dependencies: ["MIL", "Passes"], swiftSettings: settings),
        .target(name: "CKernels", cSettings: kernels),
        .target(
            name: "CPUEngine", dependencies: portable + ["CKernels"] + oneDNNModule, swiftSettings: engine,
            linkerSettings: library),
        .target(name: "MSL", dependencies: ["Runtime", "MIL"], swiftSettings: settings),
        .target(name: "MetalEngine", dependencies: portable + metal, swiftSettings: settings),
        .target(
            name: "CoreMLEngine", dependencies: portable + ["ModelFiles"] + coreML, swiftSettings: settings),
        .target(
            name: "Martlet",
            dependencies: [
                "MIL", "Passes", "ModelFiles", "Runtime", "MSL", "CPUEngine", "MetalEngine", "CoreMLEngine",
            ],
            swiftSettings: settings),
        .target(name: "CHeader"),
        .target(name: "CInterface", dependencies: ["Martlet", "MSL", "CHeader"], swiftSettings: settings),
        .testTarget(name: "MILTests", dependencies: ["MIL"], path: "tests/swift/MILTests", swiftSettings: settings),
        .testTarget(
            name: "PassesTests", dependencies: ["Passes", "MIL"], path: "tests/swift/PassesTests",
            swiftSettings: settings),
        .target(
            name: "FakeDevice", dependencies: ["Runtime", "MIL"], path: "tests/swift/FakeDevice",
            swiftSettings: settings),
        .testTarget(
            name: "MartletTests", dependencies: ["Martlet", "Passes", "FakeDevice"], path: "tests/swift/MartletTests",
            swiftSettings: settings),
        .testTarget(
            name: "CPUEngineTests", dependencies: ["CPUEngine", "CKernels"], path: "tests/swift/CPUEngineTests",
            swiftSettings: settings),
        .testTarget(
            name: "RuntimeTests", dependencies: ["Martlet", "Runtime"], path: "tests/swift/RuntimeTests",
            swiftSettings: settings),
        .testTarget(
            name: "CInterfaceTests", dependencies: ["CInterface", "CHeader", "FakeDevice"],
            path: "tests/swift/CInterfaceTests", swiftSettings: settings),
        .testTarget(
            name: "ModelFilesTests", dependencies: ["ModelFiles", "MIL"], path: "tests/swift/ModelFilesTests",
            exclude: ["data"], swiftSettings: settings),
    ]
)
package.targets += shims
if oneDNN != "0" { package.targets.append(.systemLibrary(name: "COneDNN")) }
