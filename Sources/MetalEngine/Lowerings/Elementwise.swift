#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    extension MetalLowerings {
        static let elementwise: [Lowering] = [
            .binary("add", .graphNumbers.union([.complex64])) { $0.addition($1, $2, name: nil) }
        ]
    }
#endif
