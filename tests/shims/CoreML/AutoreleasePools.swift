import Foundation
import ShimControl

/// Objective-C's pools. Nothing is released here; what is counted is who calls without one: on a thread that has none of
/// its own, such as Python's, what Core ML leaves to a pool would never go.
public func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result {
    AutoreleasePools.depth += 1
    defer { AutoreleasePools.depth -= 1 }
    return try body()
}

enum AutoreleasePools {
    private static let key = "shim.pools"

    static var depth: Int {
        get { Thread.current.threadDictionary[key] as? Int ?? 0 }
        set { Thread.current.threadDictionary[key] = newValue }
    }

    static func expectOne() { if depth == 0 { ShimControl.count("unpooled") } }
}
