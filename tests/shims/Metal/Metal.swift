@_exported import Foundation

public protocol MTLDevice: NSObjectProtocol, Sendable {
    var name: String { get }
    var recommendedMaxWorkingSetSize: UInt64 { get }
}
public func MTLCreateSystemDefaultDevice() -> (any MTLDevice)? { nil }
